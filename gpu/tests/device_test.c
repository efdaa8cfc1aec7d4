// SPDX-License-Identifier: MIT
/* The device as a driver sees it: registers, interrupts, configuration space, resets. */
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <unistd.h>

#include "client.h"
#include "dma.h"
#include "tap.h"

#define PM_CONTROL	0x44
#define MSIX_CONTROL	0x52
#define DEVCTL		0x68

/* What the structures need to be enabled: all in guest memory. */
struct rings {
	uint64_t status, cmd, fault, ctx, queue, copy;
};

static struct rings set_up_rings(struct client *c)
{
	struct rings r = {
		.status = client_alloc(c, sizeof(struct gsvm_status)),
		.cmd = client_alloc(c, 16 * sizeof(struct gsvm_cmd)),
		.fault = client_alloc(c, 16 * sizeof(struct gsvm_fault)),
		.ctx = client_alloc(c, GSVM_MAX_ASIDS * sizeof(struct gsvm_ctx)),
		.queue = client_alloc(c, GSVM_MAX_QUEUES * sizeof(struct gsvm_queue_desc)),
		.copy = client_alloc(c, 16 * sizeof(struct gsvm_copy)),
	};

	client_write64(c, GSVM_REG_STATUS_BASE, r.status);
	client_write64(c, GSVM_REG_CMD_BASE, r.cmd);
	client_write64(c, GSVM_REG_FAULT_BASE, r.fault);
	client_write64(c, GSVM_REG_CTX_BASE, r.ctx);
	client_write64(c, GSVM_REG_QUEUE_BASE, r.queue);
	client_write64(c, GSVM_REG_COPY_BASE(0), r.copy);
	return r;
}

static void run_nop(struct client *c, const struct rings *r, const char *name)
{
	struct gsvm_cmd *cmd = client_ptr(c, r->cmd);
	struct gsvm_status *status = client_ptr(c, r->status);

	client_take_irqs(c, GSVM_VEC_CMD);
	memset(status, 0, sizeof(*status));
	cmd[0] = (struct gsvm_cmd){ .op = GSVM_CMD_NOP | GSVM_CMD_IRQ };
	client_write32(c, GSVM_REG_CMD_TAIL, 1);
	tap_ok(client_wait_irq(c, GSVM_VEC_CMD), "%s: interrupt", name);
	tap_ok(client_wait_u32(&status->cmd_head, 1), "%s: completion", name);
}

static uint32_t error_of(struct client *c)
{
	uint32_t error = client_read32(c, GSVM_REG_ERROR);

	client_write32(c, GSVM_REG_ERROR, 0);
	return error;
}

static void test_identity(struct client *c)
{
	tap_eq(client_read32(c, GSVM_REG_ID), GSVM_ID_MAGIC, "ID");
	tap_eq(client_read32(c, GSVM_REG_VERSION), GSVM_HW_VERSION, "VERSION");
	tap_eq(client_read64(c, GSVM_REG_ID), (uint64_t)GSVM_HW_VERSION << 32 | GSVM_ID_MAGIC,
	       "ID and VERSION as one 8-byte read");
	tap_eq(client_read64(c, GSVM_REG_VRAM_SIZE), 64 << 20, "VRAM_SIZE");
	tap_eq(client_read32(c, GSVM_REG_VRAM_SIZE + 4), 0, "VRAM_SIZE, upper half");
	tap_eq(client_read32(c, GSVM_REG_NUM_ASIDS), 1024, "NUM_ASIDS");
	tap_eq(client_read32(c, GSVM_REG_NUM_QUEUES), 4096, "NUM_QUEUES");
	tap_eq(client_read32(c, GSVM_REG_NUM_CORES), 2, "NUM_CORES");
	tap_eq(client_read32(c, GSVM_REG_VA_BITS), 48, "VA_BITS");
	tap_ok(client_read32(c, GSVM_REG_NUM_COPY) - 1 < GSVM_MAX_COPY_ENGINES, "NUM_COPY");
	tap_eq(client_read32(c, 0x7f0), 0, "an unknown register reads 0");
	tap_eq(client_read32(c, 0x1fffc), 0, "the last register reads 0");
	client_write32(c, GSVM_REG_ID, 1);
	tap_eq(client_read32(c, GSVM_REG_ID), GSVM_ID_MAGIC, "ID is read-only");
	uint64_t before = client_read64(c, GSVM_REG_TIME);
	tap_ok(client_read64(c, GSVM_REG_TIME) > before, "TIME goes forward");
}

static void region_read(struct client *c, uint64_t offset, uint32_t len, uint8_t *out)
{
	struct vu_region r = { offset, GSVM_BAR_REGS, len };
	uint8_t reply[64];

	tap_need(!client_call(c, VU_REGION_READ, &r, sizeof(r), NULL, 0, reply, NULL, NULL),
		 "read");
	memcpy(out, reply + sizeof(r), len);
}

static void test_access_sizes(struct client *c)
{
	uint8_t got[16], ones[16];
	struct { struct vu_region r; uint8_t data[8]; } w = {
		{ GSVM_REG_CTX_BASE, GSVM_BAR_REGS, 2 }, { 0xff, 0xff },
	};

	memset(ones, 0xff, sizeof(ones));
	static const struct { uint64_t offset; uint32_t len; } bad[] = {
		{ 0, 1 }, { 0, 2 }, { 0, 3 }, { 2, 4 }, { 4, 8 }, { 1, 1 }, { 0, 16 }, { 0, 5 },
	};
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		region_read(c, bad[i].offset, bad[i].len, got);
		tap_ok(!memcmp(got, ones, bad[i].len), "read of %u bytes at %llu gives all-ones",
		       bad[i].len, (unsigned long long)bad[i].offset);
	}
	tap_eq(client_call(c, VU_REGION_WRITE, &w, sizeof(w.r) + 2, NULL, 0, NULL, NULL, NULL), 0,
	       "a 2-byte write is answered");
	tap_eq(client_read64(c, GSVM_REG_CTX_BASE), 0, "and dropped");
}

static void test_bases(struct client *c)
{
	client_write64(c, GSVM_REG_CTX_BASE, ~0ull);
	tap_eq(client_read64(c, GSVM_REG_CTX_BASE), GSVM_BASE_ADDR | GSVM_BASE_VRAM,
	       "CTX_BASE keeps address and VRAM bit");
	client_write32(c, GSVM_REG_CTX_BASE, 0x12345fff);
	tap_eq(client_read64(c, GSVM_REG_CTX_BASE), 0x000fffff12345001ull, "lower half written");
	client_write32(c, GSVM_REG_CTX_BASE + 4, 0x00000077);
	tap_eq(client_read64(c, GSVM_REG_CTX_BASE), 0x0000007712345001ull, "upper half written");
	client_write64(c, GSVM_REG_STATUS_BASE, ~0ull);
	tap_eq(client_read64(c, GSVM_REG_STATUS_BASE), GSVM_BASE_ADDR,
	       "STATUS_BASE has no VRAM bit");
	client_write64(c, GSVM_REG_FAULT_BASE, ~0ull);
	tap_eq(client_read64(c, GSVM_REG_FAULT_BASE), GSVM_BASE_ADDR, "nor has FAULT_BASE");
	tap_eq(client_read32(c, GSVM_REG_CMD_LOG2), 4, "CMD_LOG2 starts at 4");
	client_write32(c, GSVM_REG_CMD_LOG2, 16);
	tap_eq(client_read32(c, GSVM_REG_CMD_LOG2), 16, "CMD_LOG2 written");
	tap_eq(error_of(c), GSVM_ERR_NONE, "no error so far");
	client_write32(c, GSVM_REG_CMD_LOG2, 17);
	tap_eq(client_read64(c, GSVM_REG_ERROR_INFO), GSVM_REG_CMD_LOG2, "17: ERROR_INFO");
	tap_eq(error_of(c), GSVM_ERR_REGISTER, "17: ERR_REGISTER");
	tap_eq(client_read64(c, GSVM_REG_ERROR_INFO), 0, "clearing ERROR clears ERROR_INFO");
	client_write32(c, GSVM_REG_FAULT_LOG2, 3);
	tap_eq(error_of(c), GSVM_ERR_REGISTER, "FAULT_LOG2 3: ERR_REGISTER");
	tap_eq(client_read32(c, GSVM_REG_CMD_LOG2), 16, "a bad value changes nothing");
	tap_eq(client_read32(c, GSVM_REG_FAULT_CONTROL), 0, "FAULT_CONTROL starts at 0");
	client_write32(c, GSVM_REG_FAULT_CONTROL, ~0u);
	tap_eq(client_read64(c, GSVM_REG_FAULT_LOG2), (uint64_t)GSVM_FAULT_BY_BLOCK << 32 | 4,
	       "and keeps the bit that there is");
	tap_eq(error_of(c), GSVM_ERR_NONE, "without an error");
	client_write64(c, GSVM_REG_COPY_BASE(GSVM_MAX_COPY_ENGINES - 1), 0x1000);
	tap_eq(client_read64(c, GSVM_REG_COPY_BASE(GSVM_MAX_COPY_ENGINES - 1)), 0,
	       "an engine that is not there keeps nothing");
	client_write32(c, GSVM_REG_CMD_TAIL, 1);
	tap_eq(error_of(c), GSVM_ERR_REGISTER, "CMD_TAIL while disabled: ERR_REGISTER");
	client_write32(c, GSVM_REG_COPY_TAIL(0), 1);
	tap_eq(error_of(c), GSVM_ERR_REGISTER, "COPY_TAIL while disabled: ERR_REGISTER");
	client_take_irqs(c, GSVM_VEC_ERROR);
	client_write32(c, GSVM_REG_CMD_LOG2, 0);
	tap_ok(client_wait_irq(c, GSVM_VEC_ERROR), "an error raises its interrupt");
	client_write32(c, GSVM_REG_FAULT_LOG2, 0);
	tap_eq(client_read64(c, GSVM_REG_ERROR_INFO), GSVM_REG_CMD_LOG2, "the first error stays");
	client_write32(c, GSVM_REG_ERROR, 5);
	tap_eq(error_of(c), GSVM_ERR_REGISTER, "writing other than 0 to ERROR does nothing");
	client_reset(c);
	tap_eq(client_read64(c, GSVM_REG_CTX_BASE), 0, "reset clears bases");
	tap_eq(client_read32(c, GSVM_REG_CMD_LOG2), 4, "reset restores sizes");
	tap_eq(client_read32(c, GSVM_REG_FAULT_CONTROL), 0, "and FAULT_CONTROL");
}

static void test_enable(struct client *c)
{
	struct rings r = set_up_rings(c);

	tap_eq(client_read64(c, GSVM_REG_CONTROL), 0, "CONTROL and STATUS start at 0");
	client_enable(c);
	tap_eq(client_read32(c, GSVM_REG_CONTROL), GSVM_CONTROL_ENABLE, "CONTROL reads back");
	run_nop(c, &r, "enabled");
	static const uint32_t locked[] = {
		GSVM_REG_CTX_BASE, GSVM_REG_QUEUE_BASE, GSVM_REG_STATUS_BASE, GSVM_REG_CMD_BASE,
		GSVM_REG_CMD_LOG2, GSVM_REG_FAULT_BASE, GSVM_REG_FAULT_LOG2, GSVM_REG_FAULT_CONTROL,
		GSVM_REG_COPY_BASE(0), GSVM_REG_COPY_LOG2(0), GSVM_REG_CTX_BASE + 4,
	};
	for (unsigned int i = 0; i < sizeof(locked) / sizeof(locked[0]); i++) {
		uint32_t before = client_read32(c, locked[i]);

		client_write32(c, locked[i], 0x5000);
		tap_ok(client_read32(c, locked[i]) == before &&
		       client_read64(c, GSVM_REG_ERROR_INFO) == locked[i] &&
		       error_of(c) == GSVM_ERR_REGISTER,
		       "register 0x%x is locked while enabled", locked[i]);
	}
	client_write32(c, GSVM_REG_CONTROL, GSVM_CONTROL_ENABLE);
	tap_eq(error_of(c), GSVM_ERR_NONE, "enabling twice is no error");
	client_disable(c);
	tap_eq(client_read64(c, GSVM_REG_CONTROL), 0, "disabled");
	tap_eq(client_read64(c, GSVM_REG_CMD_BASE), r.cmd, "disabling keeps the bases");
	client_enable(c);
	run_nop(c, &r, "enabled again, index from 0");
	client_doorbell(c, 5, 7, 1);
	tap_eq(client_read64(c, GSVM_REG_STAT + 8 * GSVM_STAT_BAD_DOORBELLS), 1,
	       "a doorbell that nobody owns is counted");
	struct { struct vu_region r; uint32_t v; } small = { { 0, GSVM_BAR_DOORBELL, 4 }, 1 };
	client_call(c, VU_REGION_WRITE, &small, sizeof(small.r) + 4, NULL, 0, NULL, NULL, NULL);
	tap_eq(client_read64(c, GSVM_REG_STAT + 8 * GSVM_STAT_BAD_DOORBELLS), 2,
	       "so is one of 4 bytes");
	client_reset(c);
	tap_eq(client_read64(c, GSVM_REG_STAT + 8 * GSVM_STAT_BAD_DOORBELLS), 0,
	       "reset clears the statistics");
	tap_eq(client_read64(c, GSVM_REG_CONTROL), 0, "reset disables");
}

static int set_irqs(struct client *c, uint32_t flags, uint32_t start, uint32_t count)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set), .index = VFIO_PCI_MSIX_IRQ_INDEX, .flags = flags,
		.start = start, .count = count,
	};

	return client_call(c, VU_SET_IRQS, &set, sizeof(set), NULL, 0, NULL, NULL, NULL);
}

#define NONE(action)	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_##action)

static void test_interrupts(struct client *c)
{
	for (unsigned int i = 0; i < GSVM_NUM_VECTORS; i++)
		client_take_irqs(c, i);
	tap_eq(set_irqs(c, NONE(TRIGGER), 3, 1), 0, "trigger by message");
	tap_eq(client_take_irqs(c, 3), 1, "vector 3 came");
	tap_eq(set_irqs(c, NONE(MASK), 0, GSVM_NUM_VECTORS), 0, "mask all");
	set_irqs(c, NONE(TRIGGER), 2, 2);
	tap_eq(client_take_irqs(c, 2) + client_take_irqs(c, 3), 0, "masked vectors stay silent");
	tap_eq(client_read64(c, GSVM_MSIX_PBA_OFFSET), 0xc, "and pending in the PBA");
	tap_eq(set_irqs(c, NONE(UNMASK), 2, 1), 0, "unmask one");
	tap_eq(client_take_irqs(c, 2), 1, "it is delivered");
	tap_eq(client_read64(c, GSVM_MSIX_PBA_OFFSET), 0x8, "the other is still pending");
	set_irqs(c, NONE(UNMASK), 0, GSVM_NUM_VECTORS);
	tap_eq(client_take_irqs(c, 3), 1, "until unmasked");

	client_config_write(c, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	set_irqs(c, NONE(TRIGGER), 1, 1);
	tap_eq(client_take_irqs(c, 1), 0, "function mask holds back");
	client_config_write(c, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE, 2);
	tap_eq(client_take_irqs(c, 1), 1, "clearing it delivers");
	client_config_write(c, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	set_irqs(c, NONE(TRIGGER), 1, 1);
	tap_eq(client_take_irqs(c, 1), 0, "no message without bus master");
	client_config_write(c, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	tap_eq(client_take_irqs(c, 1), 1, "with it, delivered");
	client_config_write(c, MSIX_CONTROL, 0, 2);
	set_irqs(c, NONE(TRIGGER), 1, 1);
	client_config_write(c, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE, 2);
	tap_eq(client_take_irqs(c, 1), 0, "MSI-X off drops");
	client_config_write(c, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	set_irqs(c, NONE(TRIGGER), 1, 1);
	client_config_write(c, MSIX_CONTROL, 0, 2);
	client_config_write(c, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE, 2);
	tap_eq(client_take_irqs(c, 1), 0, "also what was pending");

	/* Clients take all eventfds away for a moment; nothing may get lost. */
	struct vfio_irq_set set = {
		.argsz = sizeof(set), .index = VFIO_PCI_MSIX_IRQ_INDEX,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.count = GSVM_NUM_VECTORS,
	};
	tap_eq(set_irqs(c, NONE(TRIGGER), 0, 0), 0, "all eventfds off");
	set_irqs(c, NONE(TRIGGER), 4, 1);
	tap_eq(client_take_irqs(c, 4), 0, "nobody to tell");
	tap_eq(client_call(c, VU_SET_IRQS, &set, sizeof(set), c->irq, GSVM_NUM_VECTORS, NULL,
			   NULL, NULL), 0, "eventfds on again");
	tap_eq(client_take_irqs(c, 4), 1, "told late");
}

static uint32_t config32(struct client *c, uint32_t at)
{
	uint32_t v;

	client_config_read(c, at, &v, 4);
	return v;
}

static void test_config(struct client *c)
{
	uint16_t cap;

	tap_eq(config32(c, 0), GSVM_PCI_DEVICE_ID << 16 | GSVM_PCI_VENDOR_ID, "ids");
	tap_eq(config32(c, 8), GSVM_PCI_CLASS << 8 | GSVM_PCI_REVISION, "class and revision");
	for (int i = 0; i < 6; i++)
		client_config_write(c, PCI_BASE_ADDRESS_0 + 4 * i, ~0u, 4);
	tap_eq(config32(c, PCI_BASE_ADDRESS_0), ~(GSVM_REGS_SIZE - 1u), "BAR0 sizes to 128 KiB");
	tap_eq(config32(c, PCI_BASE_ADDRESS_1), 0, "BAR1 is not there");
	tap_eq(config32(c, PCI_BASE_ADDRESS_2), ~((64u << 20) - 1) | 0xc,
	       "BAR2: VRAM, 64-bit, prefetchable");
	tap_eq(config32(c, PCI_BASE_ADDRESS_3), ~0u, "BAR2, upper half");
	tap_eq(config32(c, PCI_BASE_ADDRESS_4), ~((4u << 20) - 1) | 4, "BAR4: doorbells, 64-bit");
	client_config_write(c, 0, 0, 4);
	tap_eq(config32(c, 0), GSVM_PCI_DEVICE_ID << 16 | GSVM_PCI_VENDOR_ID, "ids are read-only");
	client_config_read(c, PCI_CAPABILITY_LIST, &cap, 1);
	unsigned int seen = 0, n = 0;
	for (uint8_t at = cap; at && n < 10; n++) {
		uint8_t two[2];

		client_config_read(c, at, two, 2);
		seen |= two[0] == PCI_CAP_ID_PM ? 1 : two[0] == PCI_CAP_ID_MSIX ? 2 :
			two[0] == PCI_CAP_ID_EXP ? 4 : 8;
		at = two[1];
	}
	tap_ok(seen == 7 && n == 3, "capabilities: PM, MSI-X, PCI Express");
	tap_eq(config32(c, 0x100), 0, "no extended capabilities");

	client_config_write(c, PCI_COMMAND, 0, 2);
	tap_eq(client_read32(c, GSVM_REG_ID), ~0u, "memory space off: BARs read all-ones");
	client_config_write(c, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	client_config_write(c, PM_CONTROL, 3, 2);
	tap_eq(client_read32(c, GSVM_REG_ID), ~0u, "D3hot: the same");
	client_config_write(c, PM_CONTROL, 1, 2);
	uint16_t pm;
	client_config_read(c, PM_CONTROL, &pm, 2);
	tap_eq(pm & 3, 3, "D1 does not exist");
	client_config_write(c, PM_CONTROL, 0, 2);
	tap_eq(client_read32(c, GSVM_REG_ID), GSVM_ID_MAGIC, "back in D0");
}

/* However the device is reset: afterwards it is as new and works. */
static void test_one_reset(struct client *c, const char *name, void (*reset)(struct client *))
{
	struct rings r = set_up_rings(c);
	uint64_t word = 0x1122334455667788ull;

	client_enable(c);
	run_nop(c, &r, name);
	memcpy(c->vram + (1 << 20), &word, 8);
	set_irqs(c, NONE(MASK), 5, 1);
	set_irqs(c, NONE(TRIGGER), 5, 1);
	reset(c);
	client_config_write(c, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	client_config_write(c, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE, 2);
	client_wait_idle(c);
	tap_ok(client_read64(c, GSVM_REG_CONTROL) == 0 &&
	       client_read64(c, GSVM_REG_STATUS_BASE) == 0 &&
	       client_read32(c, GSVM_REG_ERROR) == 0, "%s: registers as new", name);
	memcpy(&word, c->vram + (1 << 20), 8);
	tap_ok(word == 0, "%s: VRAM zeroed", name);
	tap_ok(client_read64(c, GSVM_MSIX_PBA_OFFSET) == 0, "%s: nothing pending", name);
	set_irqs(c, NONE(UNMASK), 5, 1);
	tap_ok(client_take_irqs(c, 5) == 0, "%s: no late interrupt", name);
	tap_ok(client_read64(c, GSVM_REG_TIME) < 10000000000ull, "%s: TIME from 0", name);
	r = set_up_rings(c);
	client_enable(c);
	run_nop(c, &r, name);
	client_reset(c);
}

static void reset_function(struct client *c)
{
	uint16_t command;

	client_config_write(c, DEVCTL, PCI_EXP_DEVCTL_BCR_FLR, 2);
	client_config_read(c, PCI_COMMAND, &command, 2);
	tap_eq(command, 0, "FLR clears the command register");
	client_config_read(c, DEVCTL, &command, 2);
	tap_eq(command & PCI_EXP_DEVCTL_BCR_FLR, 0, "the FLR bit reads 0");
}

static void reset_message(struct client *c)
{
	tap_eq(client_call(c, VU_RESET, NULL, 0, NULL, 0, NULL, NULL, NULL), 0, "DEVICE_RESET");
}

static void test_bus_master(struct client *c)
{
	struct rings r = set_up_rings(c);

	client_enable(c);
	run_nop(c, &r, "bus master on");
	client_config_write(c, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	client_write32(c, GSVM_REG_CMD_TAIL, 2);
	/* The ring cannot be read any more: FATAL, seen by polling only. */
	client_wait_status(c, GSVM_STATUS_FATAL, GSVM_STATUS_FATAL);
	tap_eq(client_read32(c, GSVM_REG_ERROR), GSVM_ERR_BUS, "bus master off: ERR_BUS");
	client_wait_status(c, GSVM_STATUS_ENABLED, 0);
	tap_eq(client_read32(c, GSVM_REG_STATUS), GSVM_STATUS_FATAL, "stopped, and FATAL");
	struct gsvm_status *status = client_ptr(c, r.status);
	tap_eq(__atomic_load_n(&status->cmd_head, __ATOMIC_RELAXED), 1, "nothing was written");
	client_config_write(c, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	tap_ok(client_wait_irq(c, GSVM_VEC_ERROR), "the error interrupt comes with bus master");
	client_write32(c, GSVM_REG_CONTROL, GSVM_CONTROL_ENABLE);
	tap_eq(client_read32(c, GSVM_REG_STATUS), GSVM_STATUS_FATAL, "only a reset helps");
	client_reset(c);
	r = set_up_rings(c);
	client_enable(c);
	run_nop(c, &r, "after the reset");
	client_reset(c);
}

static void test_unreachable(struct client *c)
{
	client_write64(c, GSVM_REG_STATUS_BASE, 0x7000000000ull);
	client_write64(c, GSVM_REG_CMD_BASE, 0x7000001000ull);
	client_enable(c);
	client_write32(c, GSVM_REG_CMD_TAIL, 1);
	tap_ok(client_wait_irq(c, GSVM_VEC_ERROR), "a ring out of reach: error interrupt");
	tap_eq(client_read32(c, GSVM_REG_ERROR), GSVM_ERR_BUS, "ERR_BUS");
	tap_ok(client_read32(c, GSVM_REG_STATUS) & GSVM_STATUS_FATAL, "FATAL");
	client_reset(c);
	tap_eq(client_read64(c, GSVM_REG_CONTROL), 0, "reset clears FATAL");
}

/* Resets on top of each other, and of a busy device; ends usable. */
static void test_reset_storm(struct client *c)
{
	for (int i = 0; i < 40; i++) {
		if (i % 4 == 0) {
			client_wait_idle(c);
			set_up_rings(c);
			client_enable(c);
			client_write32(c, GSVM_REG_CMD_TAIL, 16);
		}
		switch (i % 3) {
		case 0:
			client_write32(c, GSVM_REG_CONTROL, GSVM_CONTROL_RESET);
			break;
		case 1:
			client_config_write(c, DEVCTL, PCI_EXP_DEVCTL_BCR_FLR, 2);
			client_config_write(c, PCI_COMMAND,
					    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
			client_config_write(c, MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE, 2);
			break;
		case 2:
			client_write32(c, GSVM_REG_CONTROL, 0);
			break;
		}
		c->next_alloc = 0;
	}
	client_reset(c);
	struct rings r = set_up_rings(c);
	client_enable(c);
	run_nop(c, &r, "after a storm of resets");
	client_reset(c);
}

/* Guest memory that the client keeps private: found at the first enable. */
static void test_not_shared(void)
{
	struct client *c = client_connect(NULL);
	uint8_t *shared = c->mem;

	client_setup(c);
	/* The client "sees" other memory than the one it mapped for the GPU. */
	c->mem = calloc(1, CLIENT_MEM);
	tap_need(c->mem, "memory");
	set_up_rings(c);
	client_write32(c, GSVM_REG_CONTROL, GSVM_CONTROL_ENABLE);
	client_wait_status(c, GSVM_STATUS_FATAL, GSVM_STATUS_FATAL);
	tap_eq(client_read32(c, GSVM_REG_ERROR), GSVM_ERR_BUS, "memory not shared: ERR_BUS");
	free(c->mem);
	c->mem = shared;
	tap_eq(client_stop(c), 0, "the server ends");
}

/* A client that never answers DMA requests: reset and end all the same. */
static void test_silent_client(void)
{
	struct client *c = client_start(NULL);
	struct rings r;

	pthread_mutex_lock(&c->lock);
	c->ignore_dma = true;
	pthread_mutex_unlock(&c->lock);
	r = set_up_rings(c);
	client_enable(c);	/* the check asks, and waits */
	run_nop(c, &r, "works while the check waits");
	client_reset(c);
	tap_ok(true, "reset does not wait for an answer");
	r = set_up_rings(c);
	client_enable(c);
	tap_eq(client_stop(c), 0, "nor does the end");
}

int main(void)
{
	struct client *c = client_start(NULL);

	test_identity(c);
	test_access_sizes(c);
	test_bases(c);
	test_enable(c);
	test_interrupts(c);
	test_config(c);
	test_one_reset(c, "CONTROL.RESET", client_reset);
	c->next_alloc = 0;
	test_one_reset(c, "FLR", reset_function);
	c->next_alloc = 0;
	test_one_reset(c, "DEVICE_RESET", reset_message);
	c->next_alloc = 0;
	test_bus_master(c);
	test_unreachable(c);
	test_reset_storm(c);
	tap_eq(client_stop(c), 0, "the server ends with the client");
	test_not_shared();
	test_silent_client();
	return tap_done();
}
