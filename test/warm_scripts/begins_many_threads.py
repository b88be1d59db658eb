# SPDX-License-Identifier: Apache-2.0
"""Has forty threads, one after the other and at once; one of them fails."""

import concurrent.futures
import threading
import time


def fails():
    raise OSError('in a thread')


threads = [threading.Thread(target=time.sleep, args=(0.05,)) for _ in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
failing = threading.Thread(target=fails, name='failing')
failing.start()
failing.join()
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(abs, range(-20, 0))))
concurrent.futures.ThreadPoolExecutor(2).submit(print, 'from a pool that nobody closes')
