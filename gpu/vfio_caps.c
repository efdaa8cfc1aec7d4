// SPDX-License-Identifier: MIT
/*
 * DOC: Capabilities
 *
 * A recursive-descent JSON reader (RFC 8259) that keeps nothing but the few
 * members we know. It goes by position over the text it was given, checks the
 * end before every byte, and limits the nesting. Members may be unknown, types
 * may not be wrong.
 */
#include <errno.h>
#include <string.h>

#include "vfio_caps.h"

#define MAX_DEPTH	16
#define MAX_NAME	32

struct json {
	const char *at, *end;
	struct vfio_caps *caps;
};

enum json_type { JSON_BAD, JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_BOOL,
		 JSON_NULL };

struct json_value {
	enum json_type type;
	bool truth;
	bool integer;		/* a number without sign, fraction, exponent, that fits */
	uint64_t number;
};

static void json_space(struct json *j)
{
	while (j->at < j->end && strchr(" \t\r\n", *j->at) && *j->at)
		j->at++;
}

/* The next byte that is no space is @c: take it. */
static bool json_take(struct json *j, char c)
{
	json_space(j);
	if (j->at == j->end || *j->at != c)
		return false;
	j->at++;
	return true;
}

static bool json_digits(struct json *j, struct json_value *v)
{
	const char *start = j->at;

	for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
		if (v && (__builtin_mul_overflow(v->number, 10ull, &v->number) ||
			  __builtin_add_overflow(v->number, (uint64_t)(*j->at - '0'), &v->number)))
			v->integer = false;
	}
	return j->at > start;
}

static bool json_number(struct json *j, struct json_value *v)
{
	v->type = JSON_NUMBER;
	v->integer = true;
	if (*j->at == '-') {
		v->integer = false;
		j->at++;
	}
	if (j->at < j->end && *j->at == '0')
		j->at++;
	else if (!json_digits(j, v))
		return false;
	if (j->at < j->end && *j->at == '.') {
		v->integer = false;
		j->at++;
		if (!json_digits(j, NULL))
			return false;
	}
	if (j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
		v->integer = false;
		j->at++;
		if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
			j->at++;
		if (!json_digits(j, NULL))
			return false;
	}
	return true;
}

static bool json_escape(struct json *j)
{
	if (j->at == j->end)
		return false;
	if (*j->at != 'u')
		return *j->at && strchr("\"\\/bfnrt", *j->at++);
	j->at++;
	for (int i = 0; i < 4; i++, j->at++)
		if (j->at == j->end || !*j->at || !strchr("0123456789abcdefABCDEF", *j->at))
			return false;
	return true;
}

/* @name: NULL, or room for MAX_NAME bytes; longer or escaped strings give "". */
static bool json_string(struct json *j, char *name)
{
	const char *start;
	bool plain = true;

	if (!json_take(j, '"'))
		return false;
	start = j->at;
	for (;;) {
		if (j->at == j->end || (unsigned char)*j->at < 0x20)
			return false;
		if (*j->at == '"')
			break;
		if (*j->at++ == '\\') {
			plain = false;
			if (!json_escape(j))
				return false;
		}
	}
	if (name) {
		size_t len = j->at - start;

		if (!plain || len >= MAX_NAME)
			len = 0;
		memcpy(name, start, len);
		name[len] = '\0';
	}
	j->at++;
	return true;
}

static bool json_word(struct json *j, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(j->end - j->at) < len || memcmp(j->at, word, len))
		return false;
	j->at += len;
	return true;
}

static bool json_value(struct json *j, struct json_value *v, int depth, const char *path);

/* A member of "capabilities". */
static bool caps_member(struct vfio_caps *c, const char *name, const struct json_value *v)
{
	bool number = v->type == JSON_NUMBER && v->integer;

	if (!strcmp(name, "max_msg_fds")) {
		c->has_max_fds = true;
		c->max_fds = v->number;
		return number;
	}
	if (!strcmp(name, "max_data_xfer_size")) {
		c->has_max_data = true;
		c->max_data = v->number;
		return number && v->number;
	}
	if (!strcmp(name, "pgsizes")) {
		c->has_pgsizes = true;
		return number;
	}
	if (!strcmp(name, "max_dma_maps")) {
		c->has_max_maps = true;
		return number;
	}
	if (!strcmp(name, "write_multiple")) {
		c->write_multiple = v->truth;
		return v->type == JSON_BOOL;
	}
	return true;
}

/* @path: "" the outermost object, "capabilities" that member, NULL elsewhere. */
static bool json_object(struct json *j, int depth, const char *path)
{
	char name[MAX_NAME];

	if (!json_take(j, '{'))
		return false;
	if (json_take(j, '}'))
		return true;
	do {
		struct json_value v;
		bool caps;

		if (!json_string(j, name) || !json_take(j, ':'))
			return false;
		caps = path && !*path && !strcmp(name, "capabilities");
		if (!json_value(j, &v, depth, caps ? name : NULL))
			return false;
		if (caps && v.type != JSON_OBJECT)
			return false;
		if (path && *path && !caps_member(j->caps, name, &v))
			return false;
	} while (json_take(j, ','));
	return json_take(j, '}');
}

static bool json_array(struct json *j, int depth)
{
	struct json_value v;

	if (!json_take(j, '['))
		return false;
	if (json_take(j, ']'))
		return true;
	do {
		if (!json_value(j, &v, depth, NULL))
			return false;
	} while (json_take(j, ','));
	return json_take(j, ']');
}

static bool json_value(struct json *j, struct json_value *v, int depth, const char *path)
{
	*v = (struct json_value){0};
	json_space(j);
	if (depth == MAX_DEPTH || j->at == j->end)
		return false;
	switch (*j->at) {
	case '{':
		v->type = JSON_OBJECT;
		return json_object(j, depth + 1, path);
	case '[':
		v->type = JSON_ARRAY;
		return json_array(j, depth + 1);
	case '"':
		v->type = JSON_STRING;
		return json_string(j, NULL);
	case 't':
		v->type = JSON_BOOL;
		v->truth = true;
		return json_word(j, "true");
	case 'f':
		v->type = JSON_BOOL;
		return json_word(j, "false");
	case 'n':
		v->type = JSON_NULL;
		return json_word(j, "null");
	default:
		return json_number(j, v);
	}
}

int vfio_caps_parse(struct vfio_caps *caps, const char *text, size_t len)
{
	struct json j = { .at = text, .end = text + len, .caps = caps };
	struct json_value v;

	*caps = (struct vfio_caps){0};
	if (!json_value(&j, &v, 0, "") || v.type != JSON_OBJECT)
		return -EINVAL;
	json_space(&j);
	return j.at == j.end ? 0 : -EINVAL;
}
