/** @file Float16 and bfloat16 to and from float32, rounding to nearest, ties to even. */

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** Bits of IEEE binary16 to numbers. */
export function float16ToFloat32(bits: Uint16Array, target: Float32Array): void {
  for (let index = 0; index < bits.length; index++) {
    const half = bits[index];
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0) target[index] = sign * fraction * 2 ** -24;
    else if (exponent === 31) target[index] = fraction ? Number.NaN : sign * Infinity;
    else target[index] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
}

/** What is too large becomes infinite. */
export function float32ToFloat16(values: Float32Array, target: Uint16Array): void {
  for (let index = 0; index < values.length; index++) {
    const value = Math.abs(values[index]);
    scratch[0] = values[index];
    const sign = (scratchBits[0] >>> 16) & 0x8000;
    let bits: number;
    if (Number.isNaN(value)) bits = 0x7e00;
    else if (value >= 65520) bits = 0x7c00;
    else if (value < 2 ** -14) bits = roundToEven(value * 2 ** 24);
    else {
      const exponent = ((scratchBits[0] >>> 23) & 0xff) - 127;
      // A fraction that rounds up to 1024 carries into the exponent by itself.
      bits = ((exponent + 15) << 10) + roundToEven((value / 2 ** exponent - 1) * 1024);
    }
    target[index] = sign | bits;
  }
}

/** Bits of bfloat16 (the upper half of a float32) to numbers. */
export function bfloat16ToFloat32(bits: Uint16Array, target: Float32Array): void {
  const targetBits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let index = 0; index < bits.length; index++) targetBits[index] = bits[index] << 16;
}

export function float32ToBfloat16(values: Float32Array, target: Uint16Array): void {
  const valueBits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let index = 0; index < values.length; index++) {
    const bits = valueBits[index];
    const isNaN = (bits & 0x7fffffff) > 0x7f800000;
    target[index] = isNaN ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}
