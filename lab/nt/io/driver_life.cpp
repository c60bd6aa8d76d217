// A driver's life: load, DriverEntry, DriverUnload, and the examination after each of its ends.
#include "lab/nt/io/driver_life.hpp"

#include <bit>
#include <optional>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/cm/registry.hpp"
#include "lab/nt/dbg/event.hpp"
#include "lab/nt/etw/registrations.hpp"
#include "lab/nt/ex/callback.hpp"
#include "lab/nt/examiner/driver_call.hpp"
#include "lab/nt/examiner/leaks.hpp"
#include "lab/nt/examiner/odd_state.hpp"
#include "lab/nt/examiner/pending.hpp"
#include "lab/nt/examiner/processor_state.hpp"
#include "lab/nt/examiner/verdict.hpp"
#include "lab/nt/io/driver_objects.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/nmi.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ldr/loader.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/ob/object.hpp"
#include "lab/nt/ps/system_thread.hpp"
#include "lab/nt/rtl/scrambled.hpp"

namespace hvp::lab::io {
namespace {

/// The driver thread's input; on the idle thread's stack, not on its own.
struct Task {
    std::string_view what{};
    std::uint64_t load{};
    examiner::DriverCall call{};
    bool examine_if_failed{};
    bool examine{};
};

void report_start(const Task& task) {
    dbg::Event event{task.what};
    if (!task.examine) {
        event.text("irql", ke::name_of(ke::current_irql()));
    }
    event.number("load", task.load);
}

/// Runs on the driver's thread. Its frame is the only one above the driver's on the stack.
void run_task(void* context) {
    auto& task = *static_cast<Task*>(context);
    arch::cli();  // until the driver's first instruction: it starts on the processor in the event
    report_start(task);
    const std::uint64_t result = examiner::call_and_examine(task.what, task.call);
    const bool failed = !rtl::is_success(static_cast<rtl::NtStatus>(result));
    if (task.examine || (task.examine_if_failed && failed)) {
        examiner::report_queued_dpcs();
        examiner::compare_and_restore();
    }
    arch::sti();
}

/// One load of the driver.
class Life {
public:
    Life(const BootBlock& boot, std::string_view file, std::string_view service, std::uint64_t load)
        : boot_{boot}, file_{file}, service_{service}, load_{load} {}

    /// False: the driver cannot be loaded again, because it could not be loaded or stays loaded.
    bool run() {
        const pe::Bytes bytes{std::bit_cast<const std::byte*>(mm::driver_file.raw()),
                              boot_.driver_bytes};
        if (!ldr::load_driver({.file = bytes, .name = file_, .seed = boot_.seed, .load = load_})) {
            examiner::verdict().note_not_loadable();
            return false;
        }
        examiner::verdict().note_load();
        DriverObjects objects{ldr::driver_module(), service_};
        const auto status = call_entry(objects);
        if (rtl::is_success(status)) {
            ldr::discard_initialisation();
            if (objects.driver_object()->driver_unload == nullptr) {
                dbg::Event{"NoDriverUnload"}.number("load", load_);
                return false;
            }
            call_unload(*objects.driver_object());
        }
        examiner::report_pending();
        ex::report_left_callbacks();
        ke::report_left_nmi_callbacks();
        etw::report_left_registrations();
        ob::report_left_references();
        ps::free_ended_threads();
        examiner::report_leaks();
        ldr::unload_driver();
        return true;
    }

private:
    rtl::NtStatus call_entry(DriverObjects& objects) {
        Task task{.what = "DriverEntry",
                  .load = load_,
                  .call = call_of(objects.driver_object()->driver_init, objects.driver_object(),
                                  objects.registry_path()),
                  .examine_if_failed = true};
        examiner::take_snapshots();
        run(task);
        const auto status = static_cast<rtl::NtStatus>(task.call.result);
        objects.free_registry_path();
        examiner::verdict().note_status(status);
        dbg::Event{"DriverEntryReturned"}
            .hex("status", static_cast<std::uint32_t>(status), 8)
            .number("load", load_);
        return status;
    }

    void call_unload(DriverObject& object) {
        Task task{.what = "DriverUnload",
                  .load = load_,
                  .call = call_of(object.driver_unload, &object, nullptr),
                  .examine = true};
        run(task);
        dbg::Event{"DriverUnloadReturned"}.number("load", load_);
    }

    [[nodiscard]] examiner::DriverCall call_of(const void* routine, const void* argument_1,
                                               const void* argument_2) const {
        return {
            .routine = std::bit_cast<std::uint64_t>(routine),
            .argument_1 = std::bit_cast<std::uint64_t>(argument_1),
            .argument_2 = std::bit_cast<std::uint64_t>(argument_2),
            .rflags_before = boot_.odd_state != 0 ? examiner::odd_flags : examiner::usual_flags};
    }

    void run(Task& task) const {
        examiner::verdict().note_stack_use(ke::run_on_thread({.name = task.what,
                                                              .routine = run_task,
                                                              .context = &task,
                                                              .processor = start_processor(task)}));
    }

    /// Windows promises nothing about where a driver's routines are called.
    [[nodiscard]] std::uint32_t start_processor(const Task& task) const {
        if (boot_.start_processor != any_processor) {
            return boot_.start_processor;
        }
        const std::uint64_t call = 2 * task.load + (task.examine ? 1 : 0);
        return static_cast<std::uint32_t>(rtl::scrambled(boot_.seed + call) %
                                          ke::processor_count());
    }

    const BootBlock& boot_;
    std::string_view file_;
    std::string_view service_;
    std::uint64_t load_;
};

}  // namespace

void run_driver(const BootBlock& boot) {
    const std::string_view service{boot.driver_name.data()};
    rtl::Text<80> file{service};
    file.put(".sys");
    cm::create_registry(service);
    ex::create_system_callbacks();
    if (boot.odd_state != 0) {
        examiner::make_states_odd();
    }
    for (std::uint64_t load = 1; load <= boot.loads; ++load) {
        Life life{boot, file.view(), service, load};
        if (!life.run()) {
            return;
        }
    }
}

}  // namespace hvp::lab::io
