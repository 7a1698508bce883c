"""Options of the whole suite: how thorough it is, and that benchmarks are tests by default."""


def pytest_addoption(parser):
    parser.addoption("--thorough", action="store_true", help="more seeds")


def pytest_configure(config):
    config.addinivalue_line("markers", "compiled: looks at compiled code, so needs the JIT")
    # Benchmarks run once, as tests, unless they are asked for.
    if not config.getoption("benchmark_only", False):
        config.option.benchmark_disable = True
