# SPDX-License-Identifier: Apache-2.0
"""Does not wait for a thread that is a daemon."""

import threading
import time

threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print('end of the module', threading.active_count())
