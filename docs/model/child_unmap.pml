/* SPDX-License-Identifier: MIT */
/* munmap() of the child, or its end: nobody of ours is told. */
proctype child_unmap(byte b)
{
	atomic { zap_page(CHILD, b) }
}
