// The symbols of entry.S that host-compiled code refers to.
#include "tests/unit/vcpu/fake_entry.hpp"

#include <stdexcept>

#include "hypervisor/vcpu/entry.hpp"

namespace hvp::vmx {

extern "C" {

extern const std::byte hvp_host_trap_stubs[stub_count * stub_bytes]{};

void hvp_run_guest(VmmFrame* frame) {
    fake_guest(*frame);
}
void hvp_exit_to_vmm() {
    throw std::logic_error{"hvp_exit_to_vmm is never called"};
}
[[clang::preserve_none]] void hvp_resume_guest(VmmFrame* frame) {
    frame->resume(frame);
}
[[clang::preserve_none]] void hvp_leave_guest(VmmFrame* frame) {
    frame->leave(frame);
}
[[clang::preserve_none]] void hvp_enter_guest(VmmFrame*) {
    fake_outcome = FakeOutcome::resumed;
}
[[clang::preserve_none]] void hvp_enter_guest_after_nmi(VmmFrame* frame) {
    hvp_open_window_for_nmis(frame);
    frame->resume(frame);
}
const EntryRange hvp_entry_ranges[2]{{.begin = 0x1000, .end = 0x1040, .restart = 0x2000},
                                     {.begin = 0x3000, .end = 0x3040, .restart = 0x3000}};
void hvp_leave_after_trap() {
    throw std::logic_error{"hvp_leave_after_trap is never called"};
}
[[noreturn]] void hvp_continue_natively(VmmFrame*) {
    throw ContinuesNatively{};
}
[[noreturn]] void hvp_end_departed_guest(VmmFrame*) {
    throw std::logic_error{"nothing has departed"};
}
[[clang::preserve_none]] void hvp_leave_vmm(VmmFrame*) {
    fake_outcome = FakeOutcome::left;
}

}  // extern "C"

}  // namespace hvp::vmx
