"""Fits the data that the command wrote with other solvers: a JSON request on stdin, a JSON list of fits on stdout.

The time to the objective is that of the iteration that reaches it where the solver calls back, as L-BFGS does; otherwise that of the
shortest fit, by max_iter, that reaches it, found by doubling and bisection. Data is in memory, encoded, before the clock starts.
"""
import json
import sys
import time

import numpy as np
import scipy.sparse as sp


def versions(_):
    import implicit
    import sklearn
    import scipy
    from importlib.metadata import version
    return [{"Tool": f"scikit-learn {sklearn.__version__}, implicit {implicit.__version__}, xlearn {version('xlearn')}, myfm {version('myfm')}, numpy {np.__version__}, scipy {scipy.__version__}"}]


def read(ask, name, dtype):
    return np.fromfile(f"{ask['dir']}/{name}", dtype)


def logistic(ask, x, solvers):
    from sklearn.linear_model import LogisticRegression
    y = read(ask, "labels", np.uint8).astype(np.int32)
    sign = np.where(y == 1, -1.0, 1.0)
    enough = ask["best"] * (1 + ask["within"])

    def traced():
        """lbfgs, which minimises the objective's mean: by its own callback."""
        from scipy import optimize
        minimize, reached = optimize.minimize, []

        def watched(*args, **kwargs):
            def callback(intermediate_result):
                reached.append((intermediate_result.fun * len(y), time.process_time()))
                if reached[-1][0] <= enough:
                    raise StopIteration
            return minimize(*args, **{**kwargs, "callback": callback})

        optimize.minimize = watched
        try:
            found = fit("lbfgs", 1000)
        finally:
            optimize.minimize = minimize
        if found["Objective"] > enough or abs(found["Objective"] / reached[-1][0] - 1) > 1e-9:
            raise SystemExit(f"lbfgs stopped at {found['Objective']}, {reached[-1][0]} by its own account")
        return {**found, "Passes": len(reached)}

    def fit(solver, iterations):
        # liblinear penalises the intercept, too: among so many rows it tells no difference.
        model = LogisticRegression(C=1 / ask["l2"], solver=solver, tol=1e-12, max_iter=iterations)
        start = time.process_time()
        model.fit(x, y)
        seconds = time.process_time() - start
        w = model.coef_[0]
        objective = np.logaddexp(0, sign * (x @ w + model.intercept_[0])).sum() + ask["l2"] / 2 * (w @ w)
        if objective < ask["best"] * (1 - 1e-6):
            raise SystemExit(f"{solver} found {objective}, the least was {ask['best']}")
        return {"Tool": "scikit-learn " + solver, "Seconds": seconds, "Passes": iterations, "Objective": objective}

    def shortest(solver):
        least, most = 0, 1
        while (found := fit(solver, most))["Objective"] > enough:
            least, most = most, 2 * most
            if most > 1000:
                raise SystemExit(f"{solver} doesn't reach {enough}")
        while most - least > 1:
            middle = (least + most) // 2
            if (f := fit(solver, middle))["Objective"] > enough:
                least = middle
            else:
                most, found = middle, f
        return found

    known = ask.get("passes", {})
    out = []
    for solver in solvers:
        n = known.get("scikit-learn " + solver)
        out.append(traced() if solver == "lbfgs" else fit(solver, n) if n else shortest(solver))
    return out


def dense(ask):
    x = read(ask, "values", np.float64).reshape(ask["rows"], ask["columns"])
    return logistic(ask, x, ["newton-cholesky", "lbfgs", "liblinear"])


def sparse(ask):
    columns = read(ask, "columns", np.int32)
    start = np.arange(0, len(columns) + 1, ask["active"], dtype=np.int32)
    x = sp.csr_matrix((np.ones(len(columns)), columns, start), shape=(ask["rows"], ask["columns"]))
    return logistic(ask, x, ["lbfgs", "liblinear"])


def als(ask):
    from implicit.cpu.als import AlternatingLeastSquares
    users, items = read(ask, "users", np.int32), read(ask, "items", np.int32)
    counts = sp.csr_matrix((np.ones(len(users)), (users, items)), shape=(ask["users"], ask["items"]))
    counts.sum_duplicates()
    confidence = counts.copy()
    confidence.data = 1 + ask["alpha"] * np.minimum(np.log1p(counts.data), ask["most"])

    first = read(ask, "start", np.float64).reshape(ask["items"], ask["length"])

    def objective(y):
        """With the users' factors that are best for y, as a job's report has it."""
        y = y.astype(np.float64)
        gram = y.T @ y
        total = ask["l2"] * (y * y).sum()
        for u in range(ask["users"]):
            at = slice(confidence.indptr[u], confidence.indptr[u + 1])
            own, c = y[confidence.indices[at]], confidence.data[at]
            x = np.linalg.solve(gram + (own.T * (c - 1)) @ own + ask["l2"] * np.eye(y.shape[1]), own.T @ c)
            scores = own @ x
            total += x @ gram @ x - scores @ scores + c @ (1 - scores) ** 2 + ask["l2"] * (x @ x)
        return total

    out = []
    for name, dtype, cg in [("implicit, Cholesky, double", np.float64, False), ("implicit, 3 CG steps, float (its default)", np.float32, True)]:
        model = AlternatingLeastSquares(factors=ask["length"], regularization=ask["l2"], dtype=dtype, use_cg=cg, iterations=ask["sweeps"], num_threads=1)
        model.item_factors = first.astype(dtype)
        model.user_factors = np.zeros((ask["users"], ask["length"]), dtype)
        matrix = confidence.astype(dtype)
        start = time.process_time()
        model.fit(matrix, show_progress=False)
        seconds = (time.process_time() - start) / ask["sweeps"]
        out.append({"Tool": name, "Seconds": seconds, "Passes": ask["sweeps"], "Objective": objective(model.item_factors)})
    return out


def machine(ask):
    import os
    import xlearn
    import myfm
    path = ask["dir"]
    os.environ.setdefault("USER", "bench")  # xLearn aborts without it

    def read_svm(name):
        labels, columns = [], []
        with open(f"{path}/{name}.svm") as f:
            for line in f:
                parts = line.split()
                labels.append(int(parts[0]))
                columns.extend(int(p[:p.index(":")]) for p in parts[1:])
        start = np.arange(0, len(columns) + 1, ask["active"])
        x = sp.csr_matrix((np.ones(len(columns)), columns, start), shape=(len(labels), ask["columns"]))
        return x, np.array(labels)

    def log_loss(p, y):
        return float(-np.log(np.clip(np.where(y == 1, p, 1 - p), 1e-15, 1)).mean())

    held, held_y = read_svm("held")

    def xlearn_fit(epochs):
        model = xlearn.create_fm()
        model.setTrain(f"{path}/train.svm")
        model.setQuiet()
        model.setSigmoid()
        model.disableNorm()
        start = time.process_time()
        model.fit({"task": "binary", "opt": "adagrad", "k": ask["factors"], "lr": ask["rate"], "lambda": 0, "epoch": epochs, "init": 0.1,
                   "nthread": 1, "metric": "none"}, f"{path}/model.out")
        seconds = time.process_time() - start
        model.setTest(f"{path}/held.svm")
        model.predict(f"{path}/model.out", f"{path}/scores.txt")
        return seconds, log_loss(np.loadtxt(f"{path}/scores.txt"), held_y)

    out = []
    told = [os.dup(1), os.dup(2)]  # they print, in colours
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        xlearn_fit(1)  # it keeps the rows in its own form beside the text: later fits read that
        short, _ = xlearn_fit(ask["few"])
        long, loss = xlearn_fit(ask["many"])
        out.append({"Tool": "xlearn adagrad", "Seconds": (long - short) / (ask["many"] - ask["few"]), "Passes": ask["many"], "Objective": loss})
        x, y = read_svm("train")

        def gibbs(sweeps):
            model = myfm.MyFMGibbsClassifier(rank=ask["factors"], random_seed=1)
            start = time.process_time()
            model.fit(x, y, n_iter=sweeps, n_kept_samples=max(sweeps // 2, 1))
            return time.process_time() - start, log_loss(model.predict_proba(held), held_y)

        short, _ = gibbs(ask["few"])
        long, loss = gibbs(ask["many"])
        out.append({"Tool": "myfm Gibbs (a sweep)", "Seconds": (long - short) / (ask["many"] - ask["few"]), "Passes": ask["many"], "Objective": loss})
    finally:
        os.dup2(told[0], 1)
        os.dup2(told[1], 2)
    return out


request = json.load(sys.stdin)
json.dump({"versions": versions, "dense": dense, "sparse": sparse, "als": als, "machine": machine}[request["task"]](request), sys.stdout)
