/*
 * robot.c - a medium changer to test drivers against
 *
 * SPDX-License-Identifier: MIT
 */
#include "robot.h"

#include "cm/cm.h"
#include "port/port_internal.h"

struct robot robot;
uint8_t answer[1 << 21];
ULONG_PTR information;

static PDRIVER_OBJECT port_driver;
static PDRIVER_OBJECT mcd_loaded[8];

/* --- element status data --------------------------------------------------- */

struct writer {
    uint8_t *data;
    uint32_t len, most;
};

static void
put(struct writer *to, uint32_t value, int bytes)
{
    while (bytes-- > 0)
        to->data[to->len++] = (uint8_t) (value >> 8 * bytes);
}

static bool
tags_in(const uint8_t *cdb)
{
    return (cdb[1] & 0x10) != 0 && robot.reader;
}

static uint32_t
descriptor_length(const uint8_t *cdb, int kind)
{
    uint32_t len = 12 + robot.descriptor_more;

    if (tags_in(cdb))
        len += robot.quirks & BOTH_TAGS ? 72 : 36;
    if (cdb[6] & 1 && kind == DRIVE)
        len += robot.quirks & SERIAL_ID ? 14 : 38;
    return len;
}

static void
put_identity(struct writer *to, const struct place *at)
{
    bool serial = (robot.quirks & SERIAL_ID) != 0;
    size_t len = serial ? 10 : 34;

    put(to, at->identity != NULL ? 2 : 0, 1);
    put(to, serial ? 0 : 1, 1);
    put(to, 0, 1);
    put(to, at->identity != NULL ? (uint32_t) len : 0, 1);
    memset(to->data + to->len, ' ', len);
    if (at->identity != NULL && serial)
        memcpy(to->data + to->len, at->identity, strlen(at->identity));
    else if (at->identity != NULL) {
        memcpy(to->data + to->len, "HP      Ultrium 6-SCSI  ", 24);
        memcpy(to->data + to->len + 24, at->identity, strlen(at->identity));
    }
    to->len += (uint32_t) len;
}

static void
put_element(struct writer *to, const uint8_t *cdb, int kind, unsigned index,
            bool wrong)
{
    const struct place *at = &robot.places[kind][index];
    uint8_t flags = at->full && !wrong;

    flags |= (uint8_t) (at->except << 2);
    if (kind != ARM && !at->no_access)
        flags |= 0x08;
    if (kind == MAIL)
        flags |= (uint8_t) (at->imported << 1 | 0x30);
    else
        flags |= 0xF0 & 0x30; /* reserved bits that some set */
    put(to, robot.first[kind] + index, 2);
    put(to, flags, 1);
    put(to, 0, 1);
    put(to, at->asc, 1);
    put(to, at->ascq, 1);
    put(to, 0, 1);
    put(to, kind == DRIVE ? 0xB1 : 0xFF, 1);
    if (kind == DRIVE)
        to->data[to->len - 2] = 0xB1; /* NotBus, IDValid, LUValid, LUN 1 */
    put(to, 0, 1);
    put(to,
        (at->source != 0 && !at->sv_off ? 0x80 : 0) | (at->invert ? 0x40 : 0),
        1);
    put(to, at->source, 2);
    if (tags_in(cdb)) {
        memcpy(to->data + to->len, at->tag, 36);
        to->len += 36;
        if (robot.quirks & BOTH_TAGS) {
            memcpy(to->data + to->len, at->alternate, 36);
            to->len += 36;
        }
    }
    if (cdb[6] & 1 && kind == DRIVE)
        put_identity(to, at);
    memset(to->data + to->len, 0, robot.descriptor_more);
    to->len += robot.descriptor_more;
}

static uint32_t
put_page_header(struct writer *to, const uint8_t *cdb, int kind)
{
    uint8_t flags = 0;

    if (tags_in(cdb))
        flags = robot.quirks & BOTH_TAGS ? 0xC0 : 0x80;
    if (robot.quirks & AVOLTAG_LIE)
        flags |= 0x40;
    put(to, (uint32_t) kind, 1);
    put(to, flags, 1);
    put(to, robot.quirks & BAD_LENGTH ? 8 : descriptor_length(cdb, kind), 2);
    put(to, 0, 1);
    put(to, 0, 3);
    return to->len;
}

static void
set_bytes(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t) (value >> 16);
    at[1] = (uint8_t) (value >> 8);
    at[2] = (uint8_t) value;
}

static void
put_type(struct writer *to, const uint8_t *cdb, int kind, unsigned *count)
{
    uint32_t start = (uint32_t) cdb[2] << 8 | cdb[3], page = 0;
    uint32_t most = (uint32_t) cdb[4] << 8 | cdb[5], done = 0;

    for (unsigned i = 0; i < robot.count[kind]; i++) {
        if (robot.first[kind] + i < start || robot.places[kind][i].missing)
            continue;
        if (done++ == most && !(robot.quirks & ALL_OF_TYPE))
            break;
        if (page == 0 || robot.quirks & SPLIT)
            page = put_page_header(to, cdb, kind);
        put_element(to, cdb, kind, i, false);
        if (robot.quirks & TWICE)
            put_element(to, cdb, kind, i, true);
        set_bytes(to->data + page - 3, to->len - page);
        ++*count;
    }
}

/* Returns the length; `data` has room for everything. */
static uint32_t
element_status(const uint8_t *cdb, uint8_t *data)
{
    struct writer to = { data, 8, 0 };
    int kind = cdb[1] & 0x0f;
    unsigned count = 0;

    memset(data, 0, 8);
    for (int k = 1; k < 5; k++)
        if (kind == 0 || kind == k)
            put_type(&to, cdb, k, &count);
    data[0] = cdb[2];
    data[1] = cdb[3];
    data[2] = (uint8_t) (count >> 8);
    data[3] = (uint8_t) count;
    set_bytes(data + 5, to.len - 8);
    if (robot.quirks & CUT_8 && to.len >= 16)
        to.len -= 8;
    return to.len;
}

/* --- mode pages ------------------------------------------------------------- */

static uint32_t
mode_page(uint8_t page, uint8_t *to)
{
    static const int order[] = { ARM, SLOT, MAIL, DRIVE };

    to[0] = page;
    if (page == 0x1D) {
        to[1] = robot.quirks & SHORT_1D ? 0x0E : 0x12;
        for (int i = 0; i < 4; i++) {
            to[2 + 4 * i] = (uint8_t) (robot.first[order[i]] >> 8);
            to[3 + 4 * i] = (uint8_t) robot.first[order[i]];
            to[4 + 4 * i] = (uint8_t) (robot.count[order[i]] >> 8);
            to[5 + 4 * i] = (uint8_t) robot.count[order[i]];
        }
        return robot.quirks & CUT_1D ? 16 : 20;
    }
    if (page == 0x1E && !(robot.quirks & NO_PAGE_1E)) {
        to[1] = 2;
        to[2] = robot.quirks & ROTATES ? 1 : 0;
        return 4;
    }
    if (page == 0x1F && !(robot.quirks & NO_PAGE_1F)) {
        memcpy(to, robot.capabilities, 20);
        to[0] = 0x1F;
        to[1] = 0x12;
        return 20;
    }
    return 0;
}

static uint32_t
mode_sense(const uint8_t *cdb, uint8_t *to)
{
    bool ten = cdb[0] == 0x5A;
    uint32_t head = ten ? 8 : 4, blocks = robot.quirks & BLOCKS ? 8 : 0, len;

    memset(to, 0, 64);
    len = mode_page(cdb[2] & 0x3f, to + head + blocks);
    if (len == 0)
        return 0;
    to[ten ? 7 : 3] = (uint8_t) blocks;
    to[ten ? 1 : 0] = (uint8_t) (head + blocks + len - (ten ? 2 : 1));
    return head + blocks + len;
}

/* --- commands ----------------------------------------------------------------- */

static struct hba_answer
sense_answer(uint8_t key, uint8_t asc, uint8_t ascq)
{
    static uint8_t sense[18];

    memset(sense, 0, sizeof sense);
    sense[0] = 0x70;
    sense[2] = key;
    sense[7] = 10;
    sense[12] = asc;
    sense[13] = ascq;
    return (struct hba_answer){ .srb_status = SRB_STATUS_ERROR,
                                .scsi_status = 2,
                                .sense = sense,
                                .sense_len = sizeof sense };
}

static bool
lacks(uint8_t opcode)
{
    for (size_t i = 0; i < sizeof robot.lacks && robot.lacks[i] != 0; i++)
        if (robot.lacks[i] == opcode)
            return true;
    return false;
}

struct place *
robot_place(int kind, unsigned index)
{
    assert_true(index < robot.count[kind]);
    return &robot.places[kind][index];
}

static struct place *
place_at(uint16_t address)
{
    for (int kind = 1; kind < 5; kind++)
        if (address >= robot.first[kind] &&
            address - robot.first[kind] < robot.count[kind])
            return &robot.places[kind][address - robot.first[kind]];
    return NULL;
}

static struct hba_answer
go(uint16_t from_address, uint16_t to_address)
{
    struct place *from = place_at(from_address), *to = place_at(to_address);
    uint32_t slot = (uint32_t) from_address - robot.first[SLOT];

    if (from == NULL || to == NULL)
        return sense_answer(5, 0x21, 0x01);
    if (!from->full)
        return sense_answer(5, 0x3B, 0x0E);
    if (to->full)
        return sense_answer(5, 0x3B, 0x0D);
    to->full = true;
    memcpy(to->tag, from->tag, sizeof to->tag);
    to->source = slot < robot.count[SLOT] ? from_address : from->source;
    from->full = from->imported = false;
    memset(from->tag, ' ', 32);
    from->source = 0;
    return (struct hba_answer){ .srb_status = SRB_STATUS_SUCCESS };
}

static struct hba_answer
exchange(const uint8_t *cdb)
{
    struct place *one = place_at((uint16_t) (cdb[4] << 8 | cdb[5]));
    struct place *two = place_at((uint16_t) (cdb[6] << 8 | cdb[7]));
    struct place kept;

    if (one == NULL || two == NULL || !one->full || !two->full)
        return sense_answer(5, 0x3B, 0x0E);
    kept = *one;
    memcpy(one->tag, two->tag, 36);
    memcpy(two->tag, kept.tag, 36);
    return (struct hba_answer){ .srb_status = SRB_STATUS_SUCCESS };
}

static uint32_t
inquiry(const uint8_t *cdb, uint8_t *to)
{
    memset(to, 0, 60);
    if (cdb[1] & 1) {
        if (cdb[2] != 0x80 || robot.serial == NULL)
            return 0;
        to[0] = 8;
        to[1] = 0x80;
        to[3] = (uint8_t) strlen(robot.serial);
        memcpy(to + 4, robot.serial, to[3]);
        return 4u + to[3];
    }
    to[0] = 8;
    to[1] = 0x80;
    to[2] = 5;
    to[4] = 55;
    memset(to + 8, ' ', 28);
    memcpy(to + 8, robot.vendor, strlen(robot.vendor));
    memcpy(to + 16, robot.product, strlen(robot.product));
    memcpy(to + 32, "1.00", 4);
    to[55] = robot.bar_c;
    return 60;
}

/* REQUEST VOLUME ELEMENT ADDRESS: all matches of one type, once. */
static uint32_t
found(const uint8_t *cdb, uint8_t *to)
{
    uint8_t like[16] = { 0xB8, cdb[1], 0, 0, 0xFF, 0xFF, 0 };
    struct place kept[64];
    int kind = cdb[1] & 0x0f;
    size_t len = strcspn((char *) robot.template, "*");
    uint32_t bytes;

    memcpy(kept, robot.places[kind], robot.count[kind] * sizeof *kept);
    for (unsigned i = 0; i < robot.count[kind]; i++)
        robot.places[kind][i].missing =
            !kept[i].full || memcmp(kept[i].tag, robot.template, len) != 0;
    bytes = element_status(like, to);
    memcpy(robot.places[kind], kept, robot.count[kind] * sizeof *kept);
    return bytes;
}

static uint32_t
supported(const uint8_t *cdb, uint8_t *to)
{
    memset(to, 0, 28);
    to[1] = lacks(cdb[3]) ? 1 : robot.own_way == cdb[3] && cdb[3] != 0 ? 5 : 3;
    to[3] = 12;
    return to[1] == 3 ? 16 : 4;
}

static bool
refuses_field(const uint8_t *cdb, uint32_t alloc)
{
    return (cdb[6] & 1 && robot.quirks & NO_DVCID) ||
           (cdb[6] & 2 && robot.quirks & NO_CURDATA) ||
           (cdb[1] & 0x10 && robot.quirks & NO_VOLTAG) ||
           (robot.alloc_most != 0 && alloc > robot.alloc_most);
}

/* Fills `to`; data are *out_len bytes. */
static struct hba_answer
carry_out(const SCSI_REQUEST_BLOCK *srb, uint8_t *to, uint32_t *out_len)
{
    const uint8_t *cdb = srb->Cdb;
    struct hba_answer good = { .srb_status = SRB_STATUS_SUCCESS };

    *out_len = 0;
    if (lacks(cdb[0]) || (cdb[0] == 0xA3 && !robot.tells_commands))
        return sense_answer(5, 0x20, 0x00);
    switch (cdb[0]) {
    case 0x12:
        *out_len = inquiry(cdb, to);
        return *out_len != 0 ? good : sense_answer(5, 0x24, 0);
    case 0x1A:
    case 0x5A:
        *out_len = mode_sense(cdb, to);
        return *out_len != 0 ? good : sense_answer(5, 0x24, 0);
    case 0x1E:
        robot.prevented = cdb[4] & 1;
        return good;
    case 0xA3:
        *out_len = supported(cdb, to);
        return good;
    case 0xA5:
        return go((uint16_t) (cdb[4] << 8 | cdb[5]),
                  (uint16_t) (cdb[6] << 8 | cdb[7]));
    case 0xA6:
        return exchange(cdb);
    case 0xB5:
        if (!robot.searching)
            return sense_answer(5, 0x2C, 0);
        robot.searching = false;
        *out_len = found(cdb, to);
        return good;
    case 0xB6:
        memcpy(robot.template, srb->DataBuffer, 40);
        robot.searching = true;
        return good;
    case 0xB8:
        if (refuses_field(cdb, (uint32_t) cdb[7] << 16 | cdb[8] << 8 | cdb[9]))
            return sense_answer(5, 0x24, 0);
        *out_len = element_status(cdb, to);
        return good;
    default:
        return good;
    }
}

/* --- the adapter ---------------------------------------------------------------- */

static uint8_t data_room[ROBOT_MOST * 200];

static void
write_down(const SCSI_REQUEST_BLOCK *srb)
{
    struct seen *seen = &robot.log[robot.commands++ % ROBOT_LOG];

    memcpy(seen->cdb, srb->Cdb, 16);
    seen->timeout_s = srb->TimeOutValue;
    seen->len = srb->DataTransferLength;
    seen->at_ms = clock_now_ns() / 1000000;
    if (srb->SrbFlags & SRB_FLAGS_DATA_OUT)
        memcpy(seen->out, srb->DataBuffer,
               srb->DataTransferLength < 64 ? srb->DataTransferLength : 64);
}

static struct reply *
take_reply(const SCSI_REQUEST_BLOCK *srb)
{
    for (unsigned i = 0; i < robot.replies; i++) {
        struct reply *reply = &robot.script[i];

        if (reply->times == 0 ||
            (reply->opcode >= 0 && reply->opcode != srb->Cdb[0]))
            continue;
        if (reply->skip != 0) {
            reply->skip--;
            continue;
        }
        reply->times--;
        return reply;
    }
    return NULL;
}

static void
give(struct hba_request *request, struct hba_answer *out, const uint8_t *data,
     uint32_t len)
{
    PSCSI_REQUEST_BLOCK srb = request->srb;

    if (len > srb->DataTransferLength)
        len = srb->DataTransferLength;
    if (srb->SrbFlags & SRB_FLAGS_DATA_IN) {
        memcpy(srb->DataBuffer, data, len);
        out->transferred = len;
    } else if (out->srb_status == SRB_STATUS_SUCCESS) {
        out->transferred = srb->DataTransferLength;
    }
    hba_set_answer(request, out);
}

static bool NTAPI
robot_submit(void *hba, struct hba_request *request)
{
    PSCSI_REQUEST_BLOCK srb = request->srb;
    const uint8_t *data = data_room;
    struct reply *reply, taken = { 0 };
    struct hba_answer out;
    uint32_t len = 0;
    KIRQL irql;

    (void) hba;
    KeAcquireSpinLock(&robot.lock, &irql);
    write_down(srb);
    reply = take_reply(srb);
    if (reply != NULL)
        taken = *reply;
    if (reply == NULL || taken.act)
        out = carry_out(srb, data_room, &len);
    if (taken.data != NULL) {
        data = taken.data;
        len = taken.data_len;
    }
    if (reply != NULL && !taken.hold && taken.data == NULL)
        out = (struct hba_answer){ .srb_status = taken.srb_status,
                                   .scsi_status = taken.scsi_status,
                                   .sense = taken.sense,
                                   .sense_len = taken.sense_len };
    else if (reply != NULL && taken.data != NULL)
        out = (struct hba_answer){ .srb_status = SRB_STATUS_SUCCESS };
    if (taken.hold) {
        __atomic_store_n(&robot.held, request, __ATOMIC_RELEASE);
        KeReleaseSpinLock(&robot.lock, irql);
        return false;
    }
    give(request, &out, data, len);
    KeReleaseSpinLock(&robot.lock, irql);
    if (taken.also != NULL)
        taken.also();
    return true;
}

static void
end_held(uint8_t srb_status)
{
    struct hba_answer out = { .srb_status = srb_status };
    struct hba_request *request;
    uint32_t len = 0;
    KIRQL irql;

    KeAcquireSpinLock(&robot.lock, &irql);
    request = robot.held;
    __atomic_store_n(&robot.held, NULL, __ATOMIC_RELEASE);
    if (request != NULL && srb_status == SRB_STATUS_SUCCESS)
        out = carry_out(request->srb, data_room, &len);
    if (request != NULL)
        give(request, &out, data_room, len);
    KeReleaseSpinLock(&robot.lock, irql);
    if (request != NULL)
        hba_done(request);
}

void
robot_release(void)
{
    for (int i = 0; i < 600000; i++) {
        if (__atomic_load_n(&robot.held, __ATOMIC_ACQUIRE) != NULL)
            break;
        usleep(100);
    }
    assert_non_null(__atomic_load_n(&robot.held, __ATOMIC_ACQUIRE));
    end_held(SRB_STATUS_SUCCESS);
}

static void
robot_abort(void *hba, struct hba_request *request)
{
    (void) hba;
    (void) request;
    end_held(SRB_STATUS_ABORTED);
}

static void
robot_reset(void *hba)
{
    (void) hba;
    end_held(SRB_STATUS_BUS_RESET);
}

static void
robot_info(void *hba, struct hba_info *out)
{
    (void) hba;
    out->commands = robot.commands;
    out->prevented = robot.prevented;
}

static void
robot_hba_close(void *hba)
{
    (void) hba;
}

static NTSTATUS
robot_hba_open(void *context, void *unit, void **out_hba)
{
    (void) unit;
    *out_hba = context;
    return STATUS_SUCCESS;
}

static const struct hba_ops ops = {
    .name = "robot",
    .max_transfer_bytes = 1 << 20,
    .bus_type = BusTypeVirtual,
    .submit = robot_submit,
    .abort = robot_abort,
    .reset = robot_reset,
    .info = robot_info,
    .close = robot_hba_close,
};

/* --- life --------------------------------------------------------------------------- */

int
robot_begin(void **state)
{
    (void) state;
    if (io_init() != STATUS_SUCCESS ||
        io_load_driver("port", port_driver_entry, &port_driver) < 0)
        return -1;
    for (size_t i = 0; i < mcd_driver_count; i++)
        if (io_load_driver(mcd_drivers[i].name, mcd_drivers[i].entry,
                           &mcd_loaded[i]) < 0)
            return -1;
    return 0;
}

int
robot_end(void **state)
{
    (void) state;
    clock_manual(false);
    for (size_t i = 0; i < mcd_driver_count; i++)
        io_unload_driver(mcd_loaded[i]);
    io_unload_driver(port_driver);
    io_shutdown();
    return 0;
}

void
robot_size(int kind, uint16_t first, uint16_t count)
{
    free(robot.places[kind]);
    robot.places[kind] = calloc(count + 1u, sizeof(struct place));
    robot.first[kind] = first;
    robot.count[kind] = count;
    for (unsigned i = 0; i < count; i++) {
        memset(robot.places[kind][i].tag, ' ', 32);
        memset(robot.places[kind][i].alternate, ' ', 32);
    }
    for (unsigned i = 0; kind == DRIVE && i < count; i++)
        robot.places[kind][i].identity = i == 0 ? "HU1234567A" : "HU1234567B";
}

void
robot_fill(int kind, unsigned index, const char *tag)
{
    struct place *at = robot_place(kind, index);

    at->full = true;
    memset(at->tag, 0, sizeof at->tag);
    memset(at->tag, ' ', 32);
    memcpy(at->tag, tag, strlen(tag));
}

int
robot_new(void **state)
{
    static const uint8_t capabilities[20] = { 0x1F, 0x12, 0x0F, 0x07,
                                              0x0E, 0x0E, 0x0E, 0x0E };
    static unsigned number;
    char name[32];

    (void) state;
    memset(&robot, 0, sizeof robot);
    KeInitializeSpinLock(&robot.lock);
    robot.vendor = "HP";
    robot.product = "MSL G3 Series";
    robot.serial = "MXA0000001";
    robot.reader = true;
    memcpy(robot.capabilities, capabilities, sizeof capabilities);
    robot_size(ARM, 1, 1);
    robot_size(SLOT, 1000, 8);
    robot_size(MAIL, 10, 2);
    robot_size(DRIVE, 500, 2);
    robot_fill(SLOT, 0, "LTO001L6");
    robot_fill(SLOT, 3, "LTO004L6");
    snprintf(name, sizeof name, "robot%u", number++);
    assert_status(port_unit_new(port_driver, &ops, robot_hba_open, &robot, name,
                                &robot.pdo),
                  STATUS_SUCCESS);
    return 0;
}

PDEVICE_OBJECT
robot_add_virtual(struct vscsi_drive *device, const char *name)
{
    PDEVICE_OBJECT pdo;

    assert_status(port_add_virtual(port_driver, device, name, &pdo),
                  STATUS_SUCCESS);
    return pdo;
}

void
robot_setting(const char *name, uint32_t value)
{
    char text[16];
    HANDLE key;

    snprintf(text, sizeof text, "%u", value);
    assert_status(IoOpenDeviceRegistryKey(robot.pdo, PLUGPLAY_REGKEY_DEVICE,
                                          KEY_WRITE, &key),
                  STATUS_SUCCESS);
    assert_status(cm_set_text(key, name, text), STATUS_SUCCESS);
    ZwClose(key);
}

static NTSTATUS NTAPI
notified(PVOID structure, PVOID context)
{
    PTARGET_DEVICE_CUSTOM_NOTIFICATION note = structure;

    (void) context;
    if (IsEqualGUID(&note->Event, &changer_event_mail_slot))
        __atomic_add_fetch(&robot.events_mail, 1, __ATOMIC_RELEASE);
    if (IsEqualGUID(&note->Event, &changer_event_stale))
        __atomic_add_fetch(&robot.events_stale, 1, __ATOMIC_RELEASE);
    return STATUS_SUCCESS;
}

NTSTATUS
robot_try_start(PDRIVER_OBJECT driver)
{
    const struct fdo_choice *row = mcd_driver_for(robot.pdo);
    NTSTATUS status;

    assert_non_null(row);
    robot.driver = driver != NULL ? driver : mcd_loaded[row - mcd_drivers];
    status = io_start_device(robot.driver, robot.pdo);
    if (NT_SUCCESS(status))
        robot.fdo = IoGetAttachedDevice(robot.pdo);
    return status;
}

NTSTATUS
robot_open(void)
{
    NTSTATUS status =
        io_open_device(robot.fdo, FILE_READ_ATTRIBUTES, &robot.file);

    robot.open = NT_SUCCESS(status);
    if (robot.open)
        (void) IoRegisterPlugPlayNotification(
            EventCategoryTargetDeviceChange, 0, robot.file, robot.driver,
            notified, NULL, &robot.notification);
    return status;
}

void
robot_close(void)
{
    if (robot.notification != NULL)
        IoUnregisterPlugPlayNotification(robot.notification);
    robot.notification = NULL;
    if (robot.open)
        io_close_file(robot.file);
    robot.open = false;
}

void
robot_start(void)
{
    assert_status(robot_try_start(NULL), STATUS_SUCCESS);
    assert_status(robot_open(), STATUS_SUCCESS);
    robot_forget();
}

int
robot_ready(void **state)
{
    (void) robot_new(state);
    robot_start();
    return 0;
}

int
robot_free(void **state)
{
    (void) state;
    robot.replies = 0;
    robot_close();
    clock_manual(false);
    if (robot.fdo != NULL)
        (void) io_remove_device(robot.pdo);
    port_remove_unit(robot.pdo);
    for (int kind = 1; kind < 5; kind++)
        free(robot.places[kind]);
    memset(robot.places, 0, sizeof robot.places);
    return 0;
}

/* --- what tests ask ----------------------------------------------------------------- */

void
robot_reply(const struct reply *reply)
{
    assert_true(robot.replies < 8);
    robot.script[robot.replies++] = *reply;
}

void
robot_forget(void)
{
    KIRQL irql;

    KeAcquireSpinLock(&robot.lock, &irql);
    robot.commands = 0;
    robot.replies = 0;
    KeReleaseSpinLock(&robot.lock, irql);
}

unsigned
robot_count(int opcode)
{
    unsigned count = 0;
    KIRQL irql;

    KeAcquireSpinLock(&robot.lock, &irql);
    assert_true(robot.commands <= ROBOT_LOG);
    for (unsigned i = 0; i < robot.commands; i++)
        count += opcode < 0 || robot.log[i].cdb[0] == opcode;
    KeReleaseSpinLock(&robot.lock, irql);
    return count;
}

const struct seen *
robot_seen(int opcode, unsigned nth)
{
    for (unsigned i = 0; i < robot.commands; i++)
        if ((opcode < 0 || robot.log[i].cdb[0] == opcode) && nth-- == 0)
            return &robot.log[i];
    fail_msg("no such command: %02x", (unsigned) opcode);
    return NULL;
}

struct asking {
    PIRP irp;
    KEVENT done;
};

static NTSTATUS NTAPI
asked(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void) device;
    (void) irp;
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static VOID NTAPI
ask_thread(PVOID context)
{
    struct asking *asking = context;

    (void) IoCallDriver(robot.fdo, asking->irp);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

/* Manual time goes on in another thread's waits. */
static void
wait_for(struct asking *asking)
{
    HANDLE thread;

    if (!clock_is_manual()) {
        (void) IoCallDriver(robot.fdo, asking->irp);
        KeWaitForSingleObject(&asking->done, Executive, KernelMode, FALSE,
                              NULL);
        return;
    }
    assert_status(
        PsCreateSystemThread(&thread, 0, NULL, NULL, NULL, ask_thread, asking),
        STATUS_SUCCESS);
    for (int i = 0; !KeReadStateEvent(&asking->done); i++) {
        assert_true(i < 600000);
        usleep(100);
        clock_advance_ms(100);
    }
    ZwClose(thread);
}

NTSTATUS
ask(ULONG code, const void *in, ULONG in_len, ULONG out_len)
{
    struct asking asking;
    PIO_STACK_LOCATION next;
    NTSTATUS status;

    memset(answer, 0xA5, sizeof answer);
    if (in != NULL)
        memcpy(answer, in, in_len);
    KeInitializeEvent(&asking.done, NotificationEvent, FALSE);
    asking.irp = IoAllocateIrp(robot.fdo->StackSize, FALSE);
    assert_non_null(asking.irp);
    next = IoGetNextIrpStackLocation(asking.irp);
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->Parameters.DeviceIoControl.IoControlCode = code;
    next->Parameters.DeviceIoControl.InputBufferLength = in_len;
    next->Parameters.DeviceIoControl.OutputBufferLength = out_len;
    asking.irp->AssociatedIrp.SystemBuffer = answer;
    IoSetCompletionRoutine(asking.irp, asked, &asking.done, TRUE, TRUE, TRUE);
    wait_for(&asking);
    status = asking.irp->IoStatus.Status;
    information = asking.irp->IoStatus.Information;
    IoFreeIrp(asking.irp);
    return status;
}

void
assert_refused(NTSTATUS is, NTSTATUS want)
{
    assert_status(is, want);
    assert_int_equal(information, 0);
}

NTSTATUS
move_medium(int from_kind, unsigned from, int to_kind, unsigned to)
{
    CHANGER_MOVE_MEDIUM in = { .Transport = { ChangerTransport, 0 },
                               .Source = { (ELEMENT_TYPE) from_kind, from },
                               .Destination = { (ELEMENT_TYPE) to_kind, to } };

    return ask(IOCTL_CHANGER_MOVE_MEDIUM, &in, sizeof in, 0);
}

NTSTATUS
read_elements(int kind, unsigned first, unsigned count, bool tags)
{
    CHANGER_READ_ELEMENT_STATUS in = {
        .ElementList = { { (ELEMENT_TYPE) kind, first }, count },
        .VolumeTagInfo = tags,
    };

    return ask(IOCTL_CHANGER_GET_ELEMENT_STATUS, &in, sizeof in,
               count * (kind == DRIVE ? 156 : 100));
}

/* The n-th record, by their own lengths. */
PCHANGER_ELEMENT_STATUS
element(unsigned index)
{
    uint8_t *at = answer;

    while (index-- > 0)
        at +=
            ((PCHANGER_ELEMENT_STATUS) at)->Flags & ELEMENT_STATUS_PRODUCT_DATA
                ? 156
                : 100;
    assert_true(at + 100 <= answer + information);
    return (PCHANGER_ELEMENT_STATUS) at;
}

GET_CHANGER_PARAMETERS
parameters(void)
{
    assert_status(ask(IOCTL_CHANGER_GET_PARAMETERS, NULL, 0, 60),
                  STATUS_SUCCESS);
    assert_int_equal(information, 60);
    return *(PGET_CHANGER_PARAMETERS) answer;
}

NTSTATUS
set_access(int kind, unsigned index, ULONG control)
{
    CHANGER_SET_ACCESS in = { { (ELEMENT_TYPE) kind, index }, control };

    return ask(IOCTL_CHANGER_SET_ACCESS, &in, sizeof in, 0);
}
