/** @file One measured figure. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** The figure's FLOP/s as a share of the raw matrix-product rate measured in the same run. */
  perRaw?: number;
}

export type Emit = (figure: Figure) => void;
