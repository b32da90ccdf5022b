/** @file Float16 and bfloat16 to and from float32, rounding to nearest, ties to even. */

/** Bits of IEEE binary16 to numbers. */
export function float16ToFloat32(bits: Uint16Array, target: Float32Array): void {
  const targetBits = bitsOf(target);
  for (let index = 0; index < bits.length; index++) {
    const half = bits[index];
    const exponent = half & 0x7c00;
    const fraction = half & 0x3ff;
    // Exponents are counted from −15 in float16 and from −127 in float32.
    if (exponent !== 0 && exponent !== 0x7c00) {
      targetBits[index] = ((half & 0x8000) << 16) | (((half & 0x7fff) << 13) + (112 << 23));
    } else {
      const magnitude = exponent === 0 ? fraction * 2 ** -24 : fraction ? Number.NaN : Infinity;
      target[index] = half & 0x8000 ? -magnitude : magnitude;
    }
  }
}

/** Rounds to nearest, ties to even; what is too large becomes infinite. */
export function float32ToFloat16(values: Float32Array, target: Uint16Array): void {
  const valueBits = bitsOf(values);
  for (let index = 0; index < values.length; index++) {
    const bits = valueBits[index] & 0x7fffffff;
    let half: number;
    if (bits > 0x7f800000) half = 0x7e00;
    else if (bits >= 0x477ff000) half = 0x7c00;
    else if (bits < 0x38800000) half = roundToEven(Math.abs(values[index]) * 2 ** 24);
    else half = ((bits + 0xfff + ((bits >>> 13) & 1)) >>> 13) - (112 << 10);
    target[index] = ((valueBits[index] >>> 16) & 0x8000) | half;
  }
}

/** Bits of bfloat16 (the upper half of a float32) to numbers. */
export function bfloat16ToFloat32(bits: Uint16Array, target: Float32Array): void {
  const targetBits = bitsOf(target);
  for (let index = 0; index < bits.length; index++) targetBits[index] = bits[index] << 16;
}

/** Rounds to nearest, ties to even; NaN stays NaN. */
export function float32ToBfloat16(values: Float32Array, target: Uint16Array): void {
  const valueBits = bitsOf(values);
  for (let index = 0; index < values.length; index++) {
    const bits = valueBits[index];
    const isNaN = (bits & 0x7fffffff) > 0x7f800000;
    target[index] = isNaN ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}
