#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The call sites of a kernel module, read from its relocations.

A call of a function outside of the module is an instruction with a relocation
against an undefined symbol, so the list is complete by construction. The file
`functions` beside this one says which of those functions can fail, and how.

As a program: sites.py MODULE prints the list.
"""

import fnmatch
import os
import re
import struct
import subprocess
import sys
from dataclasses import dataclass

R_X86_64_PC32 = 2
R_X86_64_PLT32 = 4
SHT_SYMTAB = 2
SHT_RELA = 4
SHF_EXECINSTR = 4
STT_FUNC = 2
CALL = 0xe8
JUMPS = (0xe9, 0x0f)
CALL_LENGTH = 5


@dataclass
class Site:
    """A call that can fail."""
    id: int
    symbol: str         # the function it lies in
    offset: int         # in that function
    callee: str
    how: str            # alloc, call, keep
    failure: str        # what a call that is not made leaves, or ''
    reason: str = ''    # for keep
    section: str = ''
    address: int = 0    # in its section
    line: str = ''      # file:line, where the module has them

    def name(self):
        where = f'{self.symbol}+{self.offset:#x}'
        if self.line:
            where += f' ({self.line})'
        return f'{where} {self.callee}'


class Functions:
    """The file `functions`."""

    def __init__(self, path):
        self.rules = []
        with open(path, encoding='utf-8') as lines:
            for number, line in enumerate(lines, 1):
                line = line.split('#', 1)[0].strip().split(None, 2)
                if not line:
                    continue
                rule = line + [''] * (3 - len(line))
                if rule[1] not in ('alloc', 'call', 'keep', 'none'):
                    raise ValueError(f'{path}:{number}: what is {rule[1]}?')
                if rule[1] in ('keep', 'none') and not rule[2]:
                    raise ValueError(f'{path}:{number}: {rule[0]} wants a reason')
                if rule[1] in ('alloc', 'call') and not re.fullmatch(
                        r'([ac]x=-?\d+)?', rule[2]):
                    raise ValueError(f'{path}:{number}: bad failure {rule[2]}')
                self.rules.append(rule)

    def find(self, name):
        """(how, rest of the line), or None."""
        for pattern, how, rest in self.rules:
            if fnmatch.fnmatchcase(name, pattern):
                return how, rest
        return None


class Elf:
    """As much of an object file as is needed."""

    def __init__(self, path):
        with open(path, 'rb') as file:
            self.data = file.read()
        if self.data[:6] != b'\x7fELF\x02\x01':
            raise ValueError(f'{path} is no 64-bit object file')
        offset, = struct.unpack_from('<Q', self.data, 40)
        size, count, names = struct.unpack_from('<HHH', self.data, 58)
        self.sections = [struct.unpack_from('<IIQQQQIIQQ', self.data, offset + i * size)
                         for i in range(count)]
        self.names = self.sections[names]
        self.symbols = self.read_symbols()

    def string(self, table, offset):
        start = table[4] + offset
        return self.data[start:self.data.index(b'\0', start)].decode()

    def section_name(self, index):
        return self.string(self.names, self.sections[index][0])

    def read_symbols(self):
        for section in self.sections:
            if section[1] == SHT_SYMTAB:
                strings = self.sections[section[6]]
                return [(self.string(strings, name), info, shndx, value, size)
                        for name, info, other, shndx, value, size in
                        struct.iter_unpack('<IBBHQQ', self.data[section[4]:
                                                                section[4] + section[5]])]
        raise ValueError('no symbols')

    def functions(self, index):
        """(start, end, name) of the functions in a section, sorted."""
        return sorted((value, value + size, name)
                      for name, info, shndx, value, size in self.symbols
                      if shndx == index and info & 15 == STT_FUNC)

    def calls(self):
        """(section index, offset of the instruction, opcode, callee)."""
        for section in self.sections:
            target = section[7]
            if section[1] != SHT_RELA or not self.sections[target][2] & SHF_EXECINSTR or \
                    self.section_name(target) == '.altinstr_replacement':
                continue
            text = self.sections[target][4]
            for offset, info, _ in struct.iter_unpack(
                    '<QQq', self.data[section[4]:section[4] + section[5]]):
                if info & 0xffffffff not in (R_X86_64_PC32, R_X86_64_PLT32):
                    continue
                name, _, shndx, _, _ = self.symbols[info >> 32]
                opcode = self.data[text + offset - 1]
                if opcode != CALL and self.data[text + offset - 2] == 0x0f and \
                        opcode & 0xf0 == 0x80:
                    opcode = 0x0f
                if shndx == 0 and (opcode == CALL or opcode in JUMPS):
                    yield target, offset - 1, opcode, name


def add_lines(path, sites):
    """Ask addr2line for the driver's own line of each site."""
    for section in {site.section for site in sites}:
        some = [site for site in sites if site.section == section]
        out = subprocess.run(['addr2line', '-e', path, '-j', section, '-i', '-a'] +
                             [hex(site.address) for site in some],
                             capture_output=True, text=True, check=True).stdout
        by_address = {}
        for line in out.splitlines():
            if line.startswith('0x'):
                address = int(line, 16)
                continue
            found = re.search(r'([^/]*):(\d+)', line)
            if found and found[1].startswith('gsvm_') and address not in by_address:
                by_address[address] = f'{found[1]}:{found[2]}'
        for site in some:
            site.line = by_address.get(site.address, '')


def read(path, table=None):
    """(sites, calls in all, problems) of the module."""
    functions = Functions(table or os.path.join(os.path.dirname(__file__), 'functions'))
    elf = Elf(path)
    sites, problems, calls = [], [], 0
    for index, offset, opcode, callee in elf.calls():
        calls += 1
        rule = functions.find(callee)
        where = [f for f in elf.functions(index) if f[0] <= offset < f[1]]
        symbol = where[0][2] if where else '?'
        start = where[0][0] if where else 0
        place = f'{symbol}+{offset - start:#x}'
        if not rule:
            problems.append(f'{place} calls {callee}, of which tools/inject/functions '
                            'says nothing')
            continue
        how, rest = rule
        if how == 'none':
            continue
        if not where or opcode != CALL:
            problems.append(f'{place}: {callee} is jumped to, not called; build the '
                            'driver for a kernel with frame pointers')
            continue
        sites.append(Site(len(sites), symbol, offset - start, callee, how,
                          '' if how == 'keep' else rest, rest if how == 'keep' else '',
                          elf.section_name(index), offset))
    names = [f[2] for i in range(len(elf.sections)) for f in elf.functions(i)]
    for site in sites:
        if names.count(site.symbol) > 1:
            problems.append(f'there is more than one {site.symbol}')
    if any(elf.section_name(i) == '.debug_line' for i in range(len(elf.sections))):
        add_lines(path, sites)
    return sites, calls, problems


def main():
    sites, calls, problems = read(sys.argv[1])
    for site in sites:
        print(site.id, site.name(), site.how, site.failure or site.reason)
    print(f'{calls} calls of the kernel, {len(sites)} can fail')
    for problem in problems:
        print(f'problem: {problem}')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
