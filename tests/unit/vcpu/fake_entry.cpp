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
void hvp_leave_vmm() {
    throw std::logic_error{"hvp_leave_vmm is never called"};
}

}  // extern "C"

}  // namespace hvp::vmx
