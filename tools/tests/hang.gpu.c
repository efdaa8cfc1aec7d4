// SPDX-License-Identifier: MIT
/* The job that never ends. */
#include <gsvm_device.h>

GSVM_KERNEL(wait_for_word, 0)(const volatile unsigned long *word)
{
	while (!*word)
		;
}
