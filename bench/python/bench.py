"""Packages of Python with the input of the suites `science` and `tables`, for bench/src/peers/python.rs.

    python3 bench.py FOLDER THREADS CASE DIVISOR

FOLDER has the input, which the bench has written, and gets results that are too long to print. The
case runs once to warm up and once more for its times, which are printed as JSON with the results that
the bench compares with its own. The start of the interpreter, imports and reading the input into
memory do not count, except that the case `statistics` is about reading a file. DIVISOR is ignored:
these suites have the same work with --quick.
"""
import io
import json
import os
import pathlib
import sys
import time


def matrices(folder, _threads):
    import numpy

    inputs = load_matrices(folder)
    return lambda: [operation(it) for it in inputs for operation in operations(numpy)], save(folder)


def matrices_in_threads(folder, threads):
    from concurrent.futures import ThreadPoolExecutor

    import numpy

    tasks = [(operation, it) for it in load_matrices(folder) for operation in operations(numpy)]
    # Its threads run side by side, since NumPy releases the interpreter's lock in LAPACK.
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda task: task[0](task[1]), tasks)), save(folder)


def load_matrices(folder):
    import numpy

    return [numpy.load(folder / f"matrix-{index}.npy") for index in range(len(list(folder.glob("matrix-*.npy"))))]


def operations(numpy):
    return [
        lambda matrix: matrix @ matrix,
        numpy.linalg.inv,
        numpy.linalg.eigvals,
        lambda matrix: numpy.linalg.svd(matrix, compute_uv=False),
    ]


def save(folder):
    import numpy

    def report(results):
        for index, result in enumerate(results):
            if index % 4 == 2:
                # The reader has no complex numbers.
                result = numpy.column_stack([result.real, result.imag])
            numpy.save(folder / f"result-{index}.npy", result)

    return report


def statistics(folder, _threads):
    import polars

    columns = polars.all()
    kinds = {
        "count": columns.count(),
        "missing": columns.null_count(),
        "mean": columns.mean(),
        "median": columns.median(),
        "standard_deviation": columns.std(),
        "min": columns.min(),
        "max": columns.max(),
        "skewness": columns.skew(),
        "kurtosis": columns.kurtosis(),
    }
    for percent in (1, 5, 25, 50, 75, 95, 99):
        kinds[f"{percent}%"] = columns.quantile(percent / 100, interpolation="linear")
    expressions = [expression.name.suffix(f":{kind}") for kind, expression in kinds.items()]

    def work():
        return polars.read_csv(folder / "table.csv").select(expressions)

    return work, lambda frame: frame.row(0, named=True)


def records(folder, _threads):
    import polars

    text = (folder / "records.csv").read_bytes()
    result = polars.col("result")
    kinds = {
        "count": result.count(),
        "mean": result.mean(),
        "standard_deviation": result.std(),
        "min": result.min(),
        "max": result.max(),
    }

    def work():
        frame = polars.read_csv(text).with_columns(result=polars.col("value") * 2)
        frame.write_csv(io.BytesIO(), include_header=False)
        return frame.select(**kinds)

    return work, lambda frame: frame.row(0, named=True)


def load_rows(folder):
    import numpy

    rows = numpy.load(folder / "rows.npy")
    train, test = (numpy.load(folder / f"{name}.npy").astype(int) for name in ("train", "test"))
    # In the order in which the models read them.
    return numpy.ascontiguousarray(rows[:, :-1]), rows[:, -1].copy(), train, test


def regressions(folder, _threads):
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score

    features, targets, trains, tests = load_rows(folder)

    def learn(train, test):
        model = LinearRegression().fit(features[train], targets[train])
        return model, r2_score(targets[test], model.predict(features[test]))

    def report(results):
        return [
            {"intercept": model.intercept_, "coefficients": model.coef_.tolist(), "r2": r2} for model, r2 in results
        ]

    return lambda: [learn(train, test) for train, test in zip(trains, tests)], report


def forest(folder, threads):
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.metrics import r2_score

    features, targets, [train, *others], [test, *_] = load_rows(folder)
    # The trees of all jobs in one forest, which is what the program makes of them.
    trees = 10 * (1 + len(others))

    def work():
        # The settings of apps/analytics/src/learning/forest.rs.
        model = RandomForestRegressor(
            trees, min_samples_leaf=3, max_features=1 / 3, n_jobs=threads, random_state=0
        )
        model.fit(features[train], targets[train])
        return r2_score(targets[test], model.predict(features[test]))

    return work, lambda r2: {"r2": r2}


def clusters(folder, _threads):
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    features, _, _, _ = load_rows(folder)
    # As in apps/analytics/src/learning/clusters.rs, which compares at most 1,000 rows.
    step = -(-len(features) // 1000)

    def work():
        points = (features - features.mean(axis=0)) / features.std(axis=0)
        found = []
        for count in range(2, 7):
            model = KMeans(count, n_init=5, max_iter=300, random_state=0).fit(points)
            silhouette = silhouette_score(points[::step], model.labels_[::step])
            found.append({"inertia": float(model.inertia_), "silhouette": float(silhouette)})
        return found

    return work, lambda found: found


CASES = {
    "matrices": matrices,
    "matrices-in-threads": matrices_in_threads,
    "statistics": statistics,
    "records": records,
    "regressions": regressions,
    "forest": forest,
    "clusters": clusters,
}


def versions():
    from importlib import metadata

    found = {}
    for package in ("numpy", "polars", "scikit-learn"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return {"python": sys.version.split()[0], "packages": found}


def main():
    folder, threads, case, _divisor = sys.argv[1:]
    if case == "versions":
        print(json.dumps(versions()))
        return
    # Before the imports: the libraries read these once. A pool of Python has threads enough.
    own = "1" if case == "matrices-in-threads" else threads
    for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "POLARS_MAX"):
        os.environ[f"{library}_THREADS"] = own
    work, report = CASES[case](pathlib.Path(folder), int(threads))
    work()
    start, cpu = time.perf_counter(), time.process_time()
    results = work()
    times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({**times, "results": report(results)}))


if __name__ == "__main__":
    main()
