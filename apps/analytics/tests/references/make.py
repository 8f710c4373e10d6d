"""Writes the tables of this folder, and what other libraries find in them and in the samples."""

import json
import pathlib
import re

import numpy
import pandas
import scipy
import scipy.stats
import sklearn
import statsmodels
import statsmodels.api
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_friedman1
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, silhouette_score
from statsmodels.tsa.seasonal import seasonal_decompose
from statsmodels.tsa.stattools import acf

SAMPLES = pathlib.Path(__file__).resolve().parent / "../../../../samples"
weather = pandas.read_csv(SAMPLES / "weather/seattle.csv")
NUMBERS = ["precipitation", "temp_max", "temp_min", "wind"]


def describe(values):
    return {
        "mean": numpy.mean(values),
        "median": numpy.median(values),
        "standard_deviation": numpy.std(values, ddof=1),
        "min": numpy.min(values),
        "max": numpy.max(values),
        "percentiles": [numpy.percentile(values, percent) for percent in (1, 5, 25, 50, 75, 95, 99)],
        "skewness": scipy.stats.skew(values),
        "kurtosis": scipy.stats.kurtosis(values),
    }


def thinned(values, step):
    return [None if numpy.isnan(value) else value for value in values[::step]]


co2 = pandas.read_csv(SAMPLES / "climate/co2.csv")["co2"].interpolate()
parts = seasonal_decompose(co2, period=52)
slope = scipy.stats.linregress(range(len(co2)), co2)
temperature = weather["temp_max"]
odd = seasonal_decompose(temperature, period=365)

inputs, targets = make_friedman1(n_samples=800, n_features=6, noise=1.0, random_state=3)
names = [f"x{number}" for number in range(6)]
friedman = pandas.DataFrame(inputs.round(9), columns=names)
friedman["y"] = targets.round(9)
friedman.to_csv("friedman.csv", index=False)
train, test = friedman[:600], friedman[600:]
forest = RandomForestRegressor(200, min_samples_leaf=3, max_features=2 / 6, random_state=0)
forest.fit(train[names], train["y"])
linear = LinearRegression().fit(train[names], train["y"])


def scores(model):
    predictions = model.predict(test[names])
    return {
        "r2": r2_score(test["y"], predictions),
        "rmse": mean_squared_error(test["y"], predictions) ** 0.5,
        "mae": mean_absolute_error(test["y"], predictions),
    }


points, _ = make_blobs(300, centers=[[0, 0, 0], [9, 1, 0], [0, 12, 3], [-8, -7, 6]], cluster_std=1.2, random_state=5)
blobs = pandas.DataFrame(points.round(9), columns=["a", "b", "c"])
blobs["label"] = [number % 7 for number in range(300)]
blobs.to_csv("blobs.csv", index=False)
standardized = blobs[["a", "b", "c"]].to_numpy()
standardized = (standardized - standardized.mean(axis=0)) / standardized.std(axis=0)
clusters = {}
for count in range(2, 7):
    found = KMeans(count, n_init=50, random_state=0).fit(standardized)
    clusters[count] = {"inertia": found.inertia_, "silhouette": silhouette_score(standardized, found.labels_)}

statsmodels.api.datasets.longley.load_pandas().data.astype(float).to_csv("longley.csv", index=False)
norris = pathlib.Path(scipy.stats.__file__).parent / "tests/data/nist_linregress/Norris.dat"
rows = norris.read_text().splitlines()[60:96]
with open("norris.csv", "w") as file:
    file.write("y,x\n")
    file.writelines(",".join(re.findall(r"\S+", row)) + "\n" for row in rows)

expected = {
    "versions": {it.__name__: it.__version__ for it in (numpy, scipy, pandas, sklearn, statsmodels)},
    "statistics": {name: describe(weather[name].to_numpy()) for name in NUMBERS},
    "correlations": weather[NUMBERS].corr().to_numpy().tolist(),
    "co2": {
        "bridged": int(pandas.read_csv(SAMPLES / "climate/co2.csv")["co2"].isna().sum()),
        "slope": slope.slope,
        "intercept": slope.intercept,
        "explained": slope.rvalue**2,
        "autocorrelation": acf(co2, nlags=120, fft=False).tolist(),
        "trend": thinned(parts.trend.to_numpy(), 37),
        "pattern": parts.seasonal.to_numpy()[:52].tolist(),
        "rest": thinned(parts.resid.to_numpy(), 37),
    },
    "temperature": {
        "trend": thinned(odd.trend.to_numpy(), 37),
        "pattern": odd.seasonal.to_numpy()[:365].tolist()[::10],
        "rest": thinned(odd.resid.to_numpy(), 37),
    },
    "friedman": {
        "intercept": linear.intercept_,
        "coefficients": linear.coef_.tolist(),
        "linear": scores(linear),
        "forest": scores(forest),
        "importances": forest.feature_importances_.tolist(),
    },
    "clusters": clusters,
}
with open("expected.json", "w") as file:
    json.dump(expected, file, indent=1)
    file.write("\n")
