# SPDX-License-Identifier: MIT
#
# Between clang's front end and its optimiser: reads LLVM assembly of an OpenCL
# program, writes it to standard output with local variables moved to group
# memory, and writes to the file `kernels' (assembler) a descriptor per kernel.
#
# Kernels get their arguments as 64-bit words at kernarg. When all are pointers
# and integers of 32 or 64 bits, at most eight, the hardware loads the registers
# (PRELOAD); otherwise a stub does, by the rules of the lp64d ABI.
#
# Variables: source, me (for messages), private (bytes), kernels (file).

function fail(text) {
	printf "%s: %s: error: %s\n", me, source, text > "/dev/stderr"
	failed = 1
}

# Splits a parameter list at commas outside of brackets; returns the count.
function split_params(list, param,    i, c, depth, n, from) {
	if (list == "")
		return 0
	n = 0
	depth = 0
	from = 1
	for (i = 1; i <= length(list); i++) {
		c = substr(list, i, 1)
		if (c ~ /[(<{[]/)
			depth++
		else if (c ~ /[])>}]/)
			depth--
		else if (c == "," && depth == 0) {
			param[++n] = substr(list, from, i - from)
			from = i + 1
		}
	}
	param[++n] = substr(list, from)
	for (i = 1; i <= n; i++)
		sub(/^ +/, "", param[i])
	return n
}

# What stands between the parentheses behind the kernel's name.
function parameters(line,    i, c, depth, from) {
	from = index(line, "(") + 1
	depth = 1
	for (i = from; i <= length(line); i++) {
		c = substr(line, i, 1)
		if (c == "(")
			depth++
		else if (c == ")" && --depth == 0)
			break
	}
	return substr(line, from, i - from)
}

function emit(text) {
	print text > kernels
}

# Instruction that loads a parameter into an integer register; "": impossible.
function load_op(p) {
	if (p ~ /^ptr( |$)/)
		return p ~ / byval/ ? "" : "ld"
	if (p ~ /^i64( |$)/ || p ~ /^double( |$)/)
		return "ld"
	if (p ~ /^i32( |$)/ || p ~ /^float( |$)/)
		return "lw"
	if (p ~ /^i16( |$)/)
		return p ~ /signext/ ? "lh" : "lhu"
	if (p ~ /^i8( |$)/)
		return p ~ /signext/ ? "lb" : "lbu"
	return ""
}

function descriptor(name, preload, entry,    d) {
	d = "__gsvm_kernel_" name
	emit("\t.section .gsvm.kernels, \"a\", @progbits")
	emit("\t.balign 64")
	emit("\t.globl " d)
	emit("\t.type " d ", @object")
	emit("\t.size " d ", 64")
	emit(d ":")
	emit("\t.word 0x4b565347, " preload)
	emit("\t.dword " entry " - " d)
	emit("\t.dword __gsvm_group_base - " d)
	emit("\t.word " private ", __gsvm_group_size")
	emit("\t.zero 32")
}

# Loads the registers and the stack from the words at a0 and calls the kernel.
function stub(name, n, param,    i, op, ints, floats, onstack, code, frame) {
	ints = floats = onstack = 0
	code = ""
	for (i = 1; i <= n; i++) {
		op = load_op(param[i])
		if (param[i] ~ /^(float|double)( |$)/ && floats < 8)
			code = code sprintf("\tf%s fa%d, %d(t0)\n", op, floats++, 8 * (i - 1))
		else if (ints < 8)
			code = code sprintf("\t%s a%d, %d(t0)\n", op, ints++, 8 * (i - 1))
		else
			code = code sprintf("\t%s t1, %d(t0)\n\tsd t1, %d(sp)\n", op,
					    8 * (i - 1), 8 * onstack++)
	}
	emit("\t.section .text.__gsvm_stub_" name ", \"ax\", @progbits")
	emit("\t.balign 4")
	emit("__gsvm_stub_" name ":")
	emit("\tmv t0, a0")
	if (onstack) {
		frame = 16 * int((8 * onstack + 8 + 15) / 16)
		emit("\taddi sp, sp, -" frame)
		emit("\tsd ra, " frame - 8 "(sp)")
	}
	printf "%s", code > kernels
	if (onstack) {
		emit("\tcall " name)
		emit("\tld ra, " frame - 8 "(sp)")
		emit("\taddi sp, sp, " frame)
		emit("\tret")
	} else {
		emit("\ttail " name)
	}
}

function kernel(line,    name, n, i, param, plain) {
	name = line
	sub(/^.* spir_kernel void @/, "", name)
	sub(/\(.*/, "", name)
	n = split_params(parameters(line), param)
	plain = n <= 8
	for (i = 1; i <= n; i++) {
		if (load_op(param[i]) == "") {
			fail("kernel " name ", argument " i ": structures, vectors and opaque" \
			     " types cannot be arguments of a kernel; pass a pointer")
			return
		}
		if (param[i] !~ /^(ptr|i64|i32)( |$)/)
			plain = 0
	}
	if (n > 200)
		fail("kernel " name " has more than 200 arguments")
	else if (plain && n) {
		descriptor(name, n, name)
	} else if (!n) {
		descriptor(name, 0, name)
	} else {
		stub(name, n, param)
		descriptor(name, 0, "__gsvm_stub_" name)
	}
}

BEGIN {
	printf "" > kernels
}

# Only variables in local memory have no initial value at this stage.
/^@[^ ]+ = internal global .* undef(,|$)/ {
	sub(/ = internal global /, " = hidden global ")
	sub(/ undef/, " zeroinitializer, section \".gsvm.group\"")
}

/^define .* spir_kernel void @/ {
	kernel($0)
}

{
	print
}

END {
	close(kernels)
	exit failed
}
