# SPDX-License-Identifier: MIT
"""The guest as run-inject needs it: modules, the device, the log, leaks."""

import ctypes
import errno
import glob
import os
import re
import time

INJECT = '/sys/kernel/debug/gsvm_inject'
DRIVER = '/sys/bus/pci/drivers/gsvm'
KMEMLEAK = '/sys/kernel/debug/kmemleak'
DMA_DUMP = '/sys/kernel/debug/dma-api/dump'
SYS_FINIT_MODULE = 313
SYS_DELETE_MODULE = 176
# kmemleak reports nothing younger, mm/kmemleak.c: MSECS_MIN_AGE.
KMEMLEAK_AGE = 5

# What a kernel says when something is wrong. A page allocation that failed on
# request is said, too, with a stack, and is none of that.
REPORT = re.compile(
    r'\bBUG\b|\bWARNING\b|KASAN|UBSAN|Oops|general protection|kernel NULL|'
    r'possible (recursive|circular|irq)|inconsistent lock|lock held|suspicious RCU|'
    r'INFO: (task|rcu|trying)|DEBUG_LOCKS|ODEBUG|refcount_t|list_(add|del) corruption|'
    r'DMA-API|sleeping function|scheduling while|stack-protector|soft lockup|hung|'
    r'kmemleak: (Cannot|Kernel memory leak detector disabled)|Bad (page|rss)|'
    r'detected stall|WARN_ON|drm_WARN')


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def write(path, text):
    """0 or an errno."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        return error.errno
    finally:
        os.close(fd)
    return 0


libc = ctypes.CDLL(None, use_errno=True)


def load_module(path, args=''):
    fd = os.open(path, os.O_RDONLY)
    try:
        ret = libc.syscall(SYS_FINIT_MODULE, fd, args.encode(), 0)
    finally:
        os.close(fd)
    return ctypes.get_errno() if ret else 0


def unload_module(name):
    ret = libc.syscall(SYS_DELETE_MODULE, name.encode(), os.O_NONBLOCK)
    return ctypes.get_errno() if ret else 0


class Log:
    """The kernel's log since the last look."""

    def __init__(self):
        self.fd = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        """(level, text)"""
        found = []
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors='replace')
            except BlockingIOError:
                return found
            except BrokenPipeError:
                found.append((4, 'WARNING: the log has overflown, lines are lost'))
                continue
            head, _, text = record.partition(';')
            found.append((int(head.split(',')[0]) & 7, text.split('\n')[0]))

    def problems(self, driver_may_speak):
        """Reports, and what the driver had to say unless that is in order."""
        return [text for level, text in self.lines()
                if REPORT.search(text) or
                (not driver_may_speak and level <= 4 and
                 re.search(r'\bgsvm\b', text) and 'gsvm_inject' not in text)]


class Device:
    """The one GPU."""

    def __init__(self, driver):
        self.driver = driver
        found = [os.path.basename(path) for path in glob.glob(f'{DRIVER}/0000:*')]
        if len(found) != 1:
            raise SystemExit(f'run-inject: {len(found)} GPUs are bound, one is needed')
        self.pci = found[0]

    def bound(self):
        return os.path.exists(f'{DRIVER}/{self.pci}')

    def bind(self):
        return write(f'{DRIVER}/bind', self.pci)

    def unbind(self):
        return write(f'{DRIVER}/unbind', self.pci)

    def load(self):
        return load_module(self.driver)

    def debugfs(self):
        return f'/sys/kernel/debug/dri/{self.pci}'

    def tells(self):
        return all(os.path.exists(f'{self.debugfs()}/{name}')
                   for name in ('device', 'vms', 'queues', 'stats', 'wedge'))

    def wedged(self):
        found = re.search(r'^wedged: (.*)$', read(f'{self.debugfs()}/device'), re.M)
        return found[1] if found else None

    def left(self):
        """What should be gone when all files are closed, said in words, or ''."""
        left = [line for line in read(f'{self.debugfs()}/vms').splitlines() if line]
        left += [line for line in read(f'{self.debugfs()}/queues').splitlines()
                 if re.match(r'\d', line)]
        return '; '.join(left)

    def violations(self):
        return int(re.search(r'violations: (\d+)', read(f'{self.debugfs()}/stats'))[1])

    def dma_mappings(self):
        """Mappings of the device, where the kernel keeps an account; else None."""
        if not os.path.exists(DMA_DUMP):
            return None
        return sorted(line for line in read(DMA_DUMP).splitlines() if self.pci in line)


class Leaks:
    """kmemleak, if it is there and has not given up."""

    def __init__(self):
        self.error = write(KMEMLEAK, 'clear') if os.path.exists(KMEMLEAK) else errno.ENODEV

    def usable(self):
        return not self.error

    def scan(self):
        """Reports that name the driver."""
        time.sleep(KMEMLEAK_AGE)
        # An object counts when two scans found the same content without a pointer.
        for _ in range(2):
            self.error = self.error or write(KMEMLEAK, 'scan')
        found = re.split(r'^(?=unreferenced object)', read(KMEMLEAK), flags=re.M)
        write(KMEMLEAK, 'clear')
        return [report for report in found if '[gsvm]' in report]
