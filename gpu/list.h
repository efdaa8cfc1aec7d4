/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list: a ring through a head. */
#ifndef GPU_LIST_H
#define GPU_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define list_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))
#define list_each(pos, head)		\
	for (pos = (head)->next; pos != (head); pos = pos->next)

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *l)
{
	l->next = head;
	l->prev = head->prev;
	head->prev->next = l;
	head->prev = l;
}

/* Off its list; harmless when it is on none. */
static inline void list_del(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

static inline struct list *list_first(struct list *head)
{
	return list_empty(head) ? NULL : head->next;
}

static inline struct list *list_pop(struct list *head)
{
	struct list *l = list_first(head);

	if (l)
		list_del(l);
	return l;
}

/* All of @from to the tail of @to. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
