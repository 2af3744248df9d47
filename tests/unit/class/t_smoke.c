#include "harness.h"
static void
smoke(void **state)
{
    struct rig *rig = *state;
    static char buf[4 << 20];
    struct outcome o;
    ULONG count = 77;

    o = transfer(rig, IRP_MJ_READ, 0, buf, 4096, NULL);
    printf("read %08x %lu ret %08x cmds %u\n", o.status, (unsigned long) o.information, o.returned, spy_commands(rig));
    assert_int_equal(o.status, 0);
    assert_int_equal(buf[5], 'a');
    o = transfer(rig, IRP_MJ_READ, 0, buf, 4 << 20, NULL);
    printf("read %08x %lu ret %08x cmds %u\n", o.status, (unsigned long) o.information, o.returned, spy_commands(rig));
    o = control(rig, IOCTL_DISK_CHECK_VERIFY, &count, 0, 4, NULL);
    printf("cv %08x %lu %u\n", o.status, (unsigned long) o.information, count);
    rig_mount(rig, true);
    rig_swap(rig, 1);
    o = transfer(rig, IRP_MJ_READ, 0, buf, 4096, NULL);
    printf("read %08x slot %d\n", o.status, o.slot == rig->fdo);
}
int
main(void)
{
    const struct CMUnitTest tests[] = { TEST(smoke, rig_disk) };
    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
