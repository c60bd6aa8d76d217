// The runs that wait for all processors to forget them.
#include "lab/nt/mm/retired_pages.hpp"

#include <array>
#include <cstddef>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/mm/memory_lock.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::mm {
namespace {

struct Run {
    LinearAddress first{0};
    std::uint64_t pages{};
};

constexpr std::size_t most_runs = 32;

// Guarded by memory_lock.
constinit std::array<Run, most_runs> runs{};
constinit std::size_t used{};

constinit std::uint64_t generation{};
constinit std::array<std::uint64_t, ke::most_processors> forgotten{};

void forget(const Run& run) {
    for (std::uint64_t i = 0; i < run.pages; ++i) {
        arch::invlpg(run.first + i * page_bytes);
    }
}

void forget_all(void* /*unused*/) {
    for (std::size_t i = 0; i < used; ++i) {
        forget(runs[i]);
    }
    forgotten[ke::current_processor_number()] = generation;
}

/// Now the frames may serve others.
void give_back_all() {
    ke::run_everywhere_in_parallel(forget_all, nullptr);
    for (std::size_t i = 0; i < used; ++i) {
        free_unmapped(runs[i].first, runs[i].pages);
    }
    used = 0;
}

}  // namespace

void retire(LinearAddress first, std::uint64_t pages) {
    const ke::Locked locked{memory_lock};
    hide(first, pages);
    const Run run{first, pages};
    forget(run);
    runs[used++] = run;
    __atomic_store_n(&generation, generation + 1, __ATOMIC_RELEASE);
    if (used == most_runs) {
        give_back_all();
    }
}

void forget_retired() {
    const std::uint32_t self = ke::current_processor_number();
    if (forgotten[self] != __atomic_load_n(&generation, __ATOMIC_ACQUIRE)) {
        const ke::Locked locked{memory_lock};
        forget_all(nullptr);
    }
}

}  // namespace hvp::lab::mm
