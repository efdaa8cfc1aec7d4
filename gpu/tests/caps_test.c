// SPDX-License-Identifier: MIT
/* The capability text of the VERSION message: what is JSON and what is not. */
#include "tap.h"
#include "vfio_caps.h"

static const char * const good[] = {
	"{}", " { } ", "{\"capabilities\":{}}", "{\"a\":[1,2,{\"b\":null}],\"c\":\"x\\u00e4\\n\"}",
	"{\"a\":-1.5e+10}", "{\"a\":0}", "{\"capabilities\":{\"unknown\":[{}]}}",
	"{\"other\":{\"max_msg_fds\":\"not ours\"}}",
	"{\"a\":{\"capabilities\":{\"max_msg_fds\":true}}}", "{\"a\":99999999999999999999999}",
};

static const char * const bad[] = {
	"", " ", "{", "}", "[]", "1", "\"x\"", "null", "{]", "{}x", "{} {}", "{\"a\"}", "{\"a\":}",
	"{\"a\":1,}", "{,}", "{a:1}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":1e}",
	"{\"a\":+1}", "{\"a\":-}", "{\"a\":tru}", "{\"a\":truex}", "{\"a\":\"\\x\"}",
	"{\"a\":\"\\u12g4\"}", "{\"a\":\"", "{\"a\":\"\\", "{\"a\":\"\\u1", "{\"a\":\"\n\"}",
	"{\"a\":[1,]}", "{\"a\":[1 2]}", "{\"a\" 1}", "{\"capabilities\":1}",
	"{\"capabilities\":[]}", "{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
	"{\"capabilities\":{\"max_msg_fds\":-1}}", "{\"capabilities\":{\"max_msg_fds\":1.5}}",
	"{\"capabilities\":{\"max_msg_fds\":18446744073709551616}}",
	"{\"capabilities\":{\"max_data_xfer_size\":0}}",
	"{\"capabilities\":{\"write_multiple\":1}}", "{\"capabilities\":{\"pgsizes\":null}}",
};

int main(void)
{
	struct vfio_caps c;
	static const char all[] = "{ \"capabilities\" : { \"max_msg_fds\" : 8 , "
		"\"max_data_xfer_size\":65536,\"pgsizes\":18446744073709547520,"
		"\"max_dma_maps\":65535,\"write_multiple\":true,\"twin_socket\":"
		"{\"supported\":true}}}";
	char deep[200];

	tap_eq(vfio_caps_parse(&c, all, strlen(all)), 0, "all capabilities");
	tap_ok(c.has_max_fds && c.max_fds == 8 && c.has_max_data && c.max_data == 65536 &&
	       c.has_pgsizes && c.has_max_maps && c.write_multiple, "and what they say");
	/* Every beginning of a good text is a bad text, and none is read beyond. */
	unsigned int wrong = 0;
	for (size_t len = 0; len < strlen(all); len++) {
		char *exact = malloc(len + !len);

		tap_need(exact, "memory");
		memcpy(exact, all, len);
		wrong += vfio_caps_parse(&c, exact, len) == 0;
		free(exact);
	}
	tap_eq(wrong, 0, "no beginning of it is accepted");
	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		tap_ok(vfio_caps_parse(&c, good[i], strlen(good[i])) == 0, "good %u", i);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		tap_ok(vfio_caps_parse(&c, bad[i], strlen(bad[i])) != 0, "bad %u", i);
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"a\":", 5);
	tap_ok(vfio_caps_parse(&c, deep, sizeof(deep)) != 0, "bottomless nesting");
	tap_ok(vfio_caps_parse(&c, "{\"a\":1\0}", 8) != 0, "a NUL inside");
	return tap_done();
}
