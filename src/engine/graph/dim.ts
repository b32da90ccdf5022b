/**
 * @file Dimensions of a shape: a number, or a product of named sizes ("B", "B*L", "2*B*L") that is known when the
 * graph runs. Products are kept in one canonical form, so that equal sizes are equal strings.
 */

export type Dim = number | string;
export type Shape = readonly Dim[];

/** Splits a dimension into its numeric factor and its sorted names. */
export function factors(dim: Dim): { coefficient: number; names: string[] } {
  if (typeof dim === "number") return { coefficient: dim, names: [] };
  let coefficient = 1;
  const names: string[] = [];
  for (const part of dim.split("*")) {
    if (/^\d+$/.test(part)) coefficient *= Number(part);
    else names.push(part);
  }
  return { coefficient, names: names.sort() };
}

/** The product of dimensions in canonical form. */
export function product(dims: Shape): Dim {
  let coefficient = 1;
  const names: string[] = [];
  for (const dim of dims) {
    const parts = factors(dim);
    coefficient *= parts.coefficient;
    names.push(...parts.names);
  }
  if (names.length === 0 || coefficient === 0) return coefficient;
  names.sort();
  return (coefficient === 1 ? [] : [String(coefficient)]).concat(names).join("*");
}

/** Values of named sizes. */
export type Sizes = Readonly<Record<string, number>>;

/** The dimension's number under given sizes. */
export function evaluate(dim: Dim, sizes: Sizes): number {
  const { coefficient, names } = factors(dim);
  return names.reduce((value, name) => {
    const size = name.includes("+")
      ? terms(name).reduce((total: number, term) => total + evaluate(term, sizes), 0)
      : sizes[name];
    if (size === undefined) throw new Error(`internal: size ${name} of dimension ${dim} is not bound`);
    return value * size;
  }, coefficient);
}

/** The sum of dimensions: "C+L". In it, a product is written with another sign, "B·L+M", since a sum may itself be a factor. */
export function sum(dims: Shape): Dim {
  if (dims.every((dim) => typeof dim === "number")) return dims.reduce((total: number, dim) => total + Number(dim), 0);
  return dims.map((dim) => String(dim).replaceAll("*", "·")).join("+");
}

/** The terms of a sum such as "C+L" or "C+1". */
export function terms(total: string): Dim[] {
  return total.split("+").map((term) => (/^\d+$/.test(term) ? Number(term) : term.replaceAll("·", "*")));
}

/**
 * What is left of a sum without its first terms.
 * @throws Error (internal) where it does not begin with `part`
 */
export function difference(total: Dim, part: Dim): Dim {
  if (typeof total === "number" && typeof part === "number") return total - part;
  const prefix = `${sum([part])}+`;
  if (typeof total !== "string" || !total.startsWith(prefix))
    throw new Error(`internal: cannot take ${part} from ${total}`);
  const rest = total.slice(prefix.length);
  return rest.includes("+") ? rest : terms(rest)[0];
}

/** A shape as people read it: `[B,8]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(",")}]`;
}

/**
 * The NumPy broadcast of two shapes; named dimensions must be equal or meet a 1.
 * @throws Error (internal) when they do not fit
 */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, index) => {
    const left = a[index - rank + a.length] ?? 1;
    const right = b[index - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new Error(`internal: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast`);
  });
}
