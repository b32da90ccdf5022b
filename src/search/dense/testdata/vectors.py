"""
Writes small files of vectors as NumPy and pyarrow make them: row r holds (r + 1, 0.5 r - 2, 1) / 4, its id is "p<r>" or r.
Made with numpy 2.4.6 and pyarrow 26.0.1: `python vectors.py`
"""
import io, json, os
import numpy as np
import pyarrow as pa, pyarrow.parquet as pq

here = os.path.dirname(os.path.abspath(__file__))
rows = np.array([[(r + 1) / 4, (0.5 * r - 2) / 4, 0.25] for r in range(10)])


def put(name, table, **options):
    pq.write_table(table, os.path.join(here, name), **options)


text_ids = [f"p{r}" for r in range(10)]
# Three row groups, snappy, rows in another order.
order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
put("list-float.parquet", pa.table({"id": [text_ids[r] for r in order], "other": order,
    "embedding": pa.array([rows[r].astype("float32").tolist() for r in order], pa.list_(pa.float32()))}), row_group_size=4)
put("fixed-double.parquet", pa.table({"key": pa.array(range(10), pa.int64()),
    "vec": pa.array(rows.tolist(), pa.list_(pa.float64(), 3))}), compression="zstd")
for version in ((1, 0), (2, 0), (3, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, rows.astype({1: "<f4", 2: "<f2", 3: "<f8"}[version[0]]), version=version)
    with open(os.path.join(here, f"version-{version[0]}.npy"), "wb") as out:
        out.write(file.getvalue())
np.save(os.path.join(here, "fortran.npy"), np.asfortranarray(rows.astype("<f4")))
np.save(os.path.join(here, "integers.npy"), rows.astype("<i4"))
