"""Options of the whole suite: how thorough it is, and that benchmarks are tests by default."""


def pytest_addoption(parser):
    parser.addoption("--thorough", action="store_true", help="more seeds, and what takes long")


def pytest_configure(config):
    config.addinivalue_line("markers", "compiled: looks at compiled code, so needs the JIT")
    config.addinivalue_line("markers", "thorough: takes long, and is left to --thorough")
    # Benchmarks run once, as tests, unless they are asked for.
    if not config.getoption("benchmark_only", False):
        config.option.benchmark_disable = True


def pytest_collection_modifyitems(config, items):
    if not config.getoption("thorough"):
        left = [item for item in items if "thorough" in item.keywords]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if "thorough" not in item.keywords]
