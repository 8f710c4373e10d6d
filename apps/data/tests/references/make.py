"""Writes the tables of this folder, and what NumPy finds in them."""

import json
import math
import random

import numpy
import pandas
import polars
import pyarrow
import pyarrow.parquet

RECORDS = 500
random.seed(1)

NAMES = ["plain {}", "with, comma {}", 'with "quotes" {}', "with\nline {}", "ünïcode {}"]


def value(number):
    return None if number % 25 == 7 else round(random.gauss(20.0, 6.0) + 1e-3 * number, 6)


rows = [(NAMES[n % 5].format(n), n - 100, value(n), n % 3 == 0) for n in range(RECORDS)]
table = pandas.DataFrame(rows, columns=["name", "count", "reading", "flag"])
table["count"] = table["count"].astype("int32")

table.to_csv("measurements.csv", index=False)
with open("measurements.jsonl", "w") as file:
    for name, count, reading, flag in rows:
        record = {"name": name, "extra": {"deep": [1, {"reading": "no"}]}, "reading": reading, "flag": flag, "count": count}
        file.write(json.dumps(record, ensure_ascii=count % 2 == 0) + "\n")

arrow = pyarrow.Table.from_pandas(table, preserve_index=False)
write = pyarrow.parquet.write_table
write(arrow, "pyarrow-snappy.parquet", compression="snappy", row_group_size=128)
write(arrow, "pyarrow-zstd.parquet", compression="zstd", data_page_version="2.0", row_group_size=200, use_dictionary=False)
write(
    arrow,
    "pyarrow-gzip.parquet",
    compression="gzip",
    version="1.0",
    use_dictionary=False,
    column_encoding={"name": "PLAIN", "count": "PLAIN", "reading": "BYTE_STREAM_SPLIT", "flag": "PLAIN"},
)
polars.from_pandas(table).write_parquet("polars.parquet", compression="zstd", row_group_size=100)


def statistics(numbers):
    return {
        "count": len(numbers),
        "mean": numpy.mean(numbers),
        "deviation": numpy.std(numbers, ddof=1),
        "min": numpy.min(numbers),
        "max": numpy.max(numbers),
    }


readings = numpy.array([row[2] for row in rows if row[2] is not None])
steps = {
    "scale:1.8 offset:32": readings * 1.8 + 32,
    "abs sqrt": numpy.sqrt(numpy.abs(readings)),
    "offset:100 log scale:-2.5": numpy.log(readings + 100) * -2.5,
    "scale:0.1 exp": numpy.exp(readings * 0.1),
    "clamp:10:25": numpy.clip(readings, 10, 25),
    "abs power:1.5": numpy.abs(readings) ** 1.5,
}
positive = numpy.abs(readings) + 1
centered = readings - readings.mean()
computed = {
    "sum": math.fsum(readings),
    "mean": numpy.mean(readings),
    "median": numpy.median(readings),
    "variance": numpy.var(readings, ddof=1),
    "deviation": numpy.std(readings, ddof=1),
    "min": numpy.min(readings),
    "max": numpy.max(readings),
    "range": numpy.ptp(readings),
    "norm": numpy.linalg.norm(readings),
    "percentile:0": numpy.percentile(readings, 0),
    "percentile:2.5": numpy.percentile(readings, 2.5),
    "percentile:25": numpy.percentile(readings, 25),
    "percentile:95": numpy.percentile(readings, 95),
    "percentile:100": numpy.percentile(readings, 100),
    "autocorrelation:1": (centered[1:] * centered[:-1]).sum() / (centered**2).sum(),
    "autocorrelation:7": (centered[7:] * centered[:-7]).sum() / (centered**2).sum(),
}
computed_of_positive = {
    "geometric-mean": numpy.exp(numpy.log(positive).mean()),
    "harmonic-mean": len(positive) / (1 / positive).sum(),
    "product": numpy.prod(positive[:20]),
}
expected = {
    "versions": {module.__name__: module.__version__ for module in (numpy, pandas, pyarrow, polars)},
    "missing": RECORDS - len(readings),
    "names": [row[0] for row in rows if row[2] is not None][:10],
    "values": statistics(readings),
    "steps": {name: statistics(results) for name, results in steps.items()},
    "computed": computed,
    "positive": computed_of_positive,
}
with open("expected.json", "w") as file:
    json.dump(expected, file, indent=2, ensure_ascii=False)
    file.write("\n")
