"""Packed numbers of every kind that a GGUF file may hold, and what Python's gguf package unpacks from them.

    pip install gguf
    python test/golden/gguf_blocks.py

Writes `gguf-blocks.gguf`: for each type a tensor of that name with random bits (its scales are finite) and one named
`<type>.expected`, the same numbers as float32.
"""

import pathlib

import gguf
import numpy as np

ROWS, WIDTH = 3, 256
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
# Where a block keeps its float16 scales.
SCALES = dict(Q8_0=[0], Q4_0=[0], Q4_1=[0, 2], Q5_0=[0], Q5_1=[0, 2], Q4_K=[0, 2], Q5_K=[0, 2], Q6_K=[208])


def main() -> None:
    random = np.random.default_rng(7)
    writer = gguf.GGUFWriter(pathlib.Path(__file__).parent / "gguf-blocks.gguf", "llama")
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        if name in ("F32", "F16", "BF16"):
            packed = gguf.quantize(random.standard_normal((ROWS, WIDTH)).astype(np.float32) * 3, kind)
        else:
            blocks = random.integers(0, 256, (ROWS, WIDTH // block, size), dtype=np.uint8)
            for at in SCALES[name]:
                scales = random.standard_normal(blocks.shape[:2]).astype(np.float16)
                blocks[..., at : at + 2] = scales[..., None].view(np.uint8)
            packed = blocks.reshape(ROWS, -1)
        writer.add_tensor(name, packed, raw_dtype=kind)
        writer.add_tensor(f"{name}.expected", gguf.dequantize(packed, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
