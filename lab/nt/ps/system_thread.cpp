// PsCreateSystemThread, PsTerminateSystemThread, PsGetCurrentThreadId, KeSetPriorityThread,
// KeQueryPriorityThread.
//
// A thread is an object. The thread itself has a reference until it has ended, and each handle has
// one. The last reference may be released where no memory can be freed (at a raised IRQL): the
// thread is then queued, and freed by the next call of free_ended_threads.
#include "lab/nt/ps/system_thread.hpp"

#include <bit>
#include <cstdint>
#include <utility>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/lock.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ob/object.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/list.hpp"

namespace hvp::lab::ps {
namespace {

using namespace std::string_view_literals;

/// [Windows: OBJECT_ATTRIBUTES structure]
struct ObjectAttributes {
    std::uint32_t length{};
    std::uint64_t root_directory{};
    const rtl::UnicodeString* name{};
    std::uint32_t attributes{};
};
constexpr std::uint32_t kernel_handle = 0x200;

/// [Windows: CLIENT_ID]
struct ClientId {
    std::uint64_t process{};
    std::uint64_t thread{};
};

constinit ke::Lock ended_lock{};
constinit ke::Kthread* ended_threads{};  // linked by next_ready

void queue_for_freeing(void* body) {
    const ke::Locked locked{ended_lock};
    auto* const thread = static_cast<ke::Kthread*>(body);
    thread->next_ready = std::exchange(ended_threads, thread);
}

constinit const ob::ObjectType thread_type{.name = "thread"sv,
                                           .last_reference_gone = queue_for_freeing};

void release_own_reference(ke::Kthread& thread) {
    ob::dereference(*ob::find_object(&thread));
}

void check_own_end() {
    ke::Kthread& self = ke::current_thread();
    if (!rtl::is_empty(self.mutexes)) {
        auto& mutex = rtl::holder_of<ke::Kmutant, offsetof(ke::Kmutant, owned)>(*self.mutexes.next);
        ke::bug_check({.code = ke::BugCheckCode::thread_terminate_held_mutex,
                       .parameters = {std::bit_cast<std::uint64_t>(&self),
                                      std::bit_cast<std::uint64_t>(&mutex)},
                       .detail = "a thread ends that still owns a mutex"});
    }
    if (ke::current_irql() != ke::Irql::passive) {
        rtl::Sentence detail{"the thread that began at "};
        detail.hex(std::bit_cast<std::uint64_t>(self.routine)).put(" ended at IRQL ");
        detail.decimal(static_cast<std::uint64_t>(ke::current_irql()));
        examiner::report_finding("IrqlAtThreadEnd", detail, examiner::no_verifier_code,
                                 std::bit_cast<std::uint64_t>(self.routine));
        ke::set_irql(ke::Irql::passive);
    }
}

bool is_system_process(ob::Handle process) {
    constexpr ob::Handle current_process = ~0ULL;
    if (process == 0 || process == current_process) {
        return true;
    }
    const ob::Object* const object = ob::object_of(process);
    return object != nullptr && object->body == ke::current_thread().process;
}

ke::Kthread* create(void (*routine)(void*), void* context) {
    if (examiner::must_fail_allocation("PsCreateSystemThread")) {
        return nullptr;
    }
    const std::uint32_t next = (ke::current_processor_number() + 1) % ke::processor_count();
    return ke::create_thread({.name = "of the driver",
                              .routine = routine,
                              .context = context,
                              .processor = next,
                              .before_end = check_own_end,
                              .after_end = release_own_reference});
}

}  // namespace

/// [Windows: PsThreadType] What ObReferenceObjectByHandle compares with.
NT_EXPORT constinit const ob::ObjectType* PsThreadType{&thread_type};

void free_ended_threads() {
    ke::Kthread* thread{};
    {
        const ke::Locked locked{ended_lock};
        thread = std::exchange(ended_threads, nullptr);
    }
    while (thread != nullptr) {
        ke::free_thread(*std::exchange(thread, thread->next_ready));
    }
}

/// [Windows: PsCreateSystemThread] Access rights are not checked in kernel mode.
NT_EXPORT rtl::NtStatus PsCreateSystemThread(ob::Handle* handle, std::uint32_t /*access*/,
                                             const ObjectAttributes* attributes, ob::Handle process,
                                             ClientId* id, void (*routine)(void*), void* context) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::passive,
                                 {"PsCreateSystemThread", examiner::api_irql, caller});
    if (!is_system_process(process)) {
        return rtl::status_invalid_handle;
    }
    free_ended_threads();
    ke::Kthread* const thread = create(routine, context);
    if (thread == nullptr) {
        return rtl::status_insufficient_resources;
    }
    ob::Object* const object = ob::make_object(thread_type, thread);
    const bool in_kernel = attributes != nullptr && (attributes->attributes & kernel_handle) != 0;
    *handle = object != nullptr ? ob::open_handle(*object, in_kernel, caller) : 0;
    if (*handle == 0) {
        object != nullptr ? ob::dereference(*object) : ke::free_thread(*thread);
        return rtl::status_insufficient_resources;
    }
    if (id != nullptr) {
        *id = {.process = thread->process->unique_process_id, .thread = thread->id};
    }
    ke::start(*thread);
    return rtl::status_success;
}

/// [Windows: PsTerminateSystemThread] Returns only if PsCreateSystemThread has not created the
/// thread.
NT_EXPORT rtl::NtStatus PsTerminateSystemThread(rtl::NtStatus /*status*/) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::passive,
                                 {"PsTerminateSystemThread", examiner::api_irql, caller});
    if (ke::current_thread().before_end != check_own_end) {
        rtl::Sentence detail{"PsTerminateSystemThread was called on the thread of "};
        detail.put(ke::current_thread().name).put(", which the driver did not create");
        examiner::report_finding("ForeignThread", detail, examiner::no_verifier_code, caller);
        return rtl::status_invalid_parameter;
    }
    ke::exit_thread();
}

/// [Windows: PsGetCurrentThreadId]
NT_EXPORT std::uint64_t PsGetCurrentThreadId() {
    examiner::check_stack("PsGetCurrentThreadId", examiner::caller(__builtin_return_address(0)));
    return ke::current_thread().id;
}

/// [Windows: KeSetPriorityThread]
///
/// Returns  the priority before
NT_EXPORT ke::Priority KeSetPriorityThread(ke::Kthread* thread, ke::Priority priority) {
    examiner::check_irql_at_most(
        ke::Irql::passive,
        {"KeSetPriorityThread", examiner::api_irql, examiner::caller(__builtin_return_address(0))});
    return ke::set_priority(*thread, priority);
}

/// [Windows: KeQueryPriorityThread]
NT_EXPORT ke::Priority KeQueryPriorityThread(const ke::Kthread* thread) {
    examiner::check_irql_at_most(ke::Irql::dispatch,
                                 {"KeQueryPriorityThread", examiner::api_irql,
                                  examiner::caller(__builtin_return_address(0))});
    return thread->priority;
}

}  // namespace hvp::lab::ps
