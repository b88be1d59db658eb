# SPDX-License-Identifier: Apache-2.0
"""Has workers that are forked, and workers that begin anew with this file."""

import multiprocessing


def square(number):
    return number * number, __name__


if __name__ == '__main__':
    for way in ('fork', 'spawn', 'forkserver'):
        with multiprocessing.get_context(way).Pool(2) as pool:
            print(way, pool.map(square, range(4)))
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=('from a child',))
    process.start()
    print(queue.get(), process.name)
    process.join()
