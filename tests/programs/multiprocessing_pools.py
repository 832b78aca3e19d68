"""Use multiprocessing by every way of starting a process."""

import multiprocessing
import warnings

warnings.simplefilter("ignore", DeprecationWarning)


def square(number):
    held = [number] * 10_000
    return held[0] * held[-1]


def main():
    for method in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            print(method, pool.map(square, range(5)))
        process = context.Process(target=square, args=(3,))
        process.start()
        process.join()
        print(method, process.exitcode)


if __name__ == "__main__":
    main()
