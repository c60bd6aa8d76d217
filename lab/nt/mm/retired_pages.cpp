// The runs of pages that some processors may still have in their TLBs.
#include "lab/nt/mm/retired_pages.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/ipi.hpp"
#include "lab/nt/mm/memory_lock.hpp"
#include "lab/nt/mm/page_tables.hpp"
#include "lab/nt/mm/tlb.hpp"

namespace hvp::lab::mm {
namespace {

struct Run {
    LinearAddress first{0};
    std::uint64_t pages{};
};

// The limits of what may be pending.
constexpr std::size_t most_runs = 256;
constexpr std::uint64_t most_pages = 512;

// Flushing the whole TLB is slower than INVLPG for so few pages, and faster than INVLPG for more.
constexpr std::uint64_t few_pages = 8;

// Guarded by memory_lock.
constinit std::array<Run, most_runs> runs{};
constinit std::size_t used{};
constinit std::uint64_t pending_pages{};

constinit std::uint64_t generation{};  ///< counts the runs
constinit std::array<std::uint64_t, ke::most_processors> flushed{};

void flush_retired_here(void* /*unused*/) {
    if (pending_pages > few_pages) {
        flush_tlb();
    } else {
        std::for_each_n(runs.begin(), used,
                        [](const Run& run) { invalidate(run.first, run.pages); });
    }
    flushed[ke::current_processor_number()] = generation;
}

/// A TLB shootdown for all runs; then their frames are free.
void free_all() {
    ke::run_everywhere_in_parallel(flush_retired_here, nullptr);
    for (std::size_t i = 0; i < used; ++i) {
        free_unmapped(runs[i].first, runs[i].pages);
    }
    used = 0;
    pending_pages = 0;
}

}  // namespace

void retire(LinearAddress first, std::uint64_t pages) {
    const Run run{first, pages};
    hide(first, pages);
    invalidate(first, pages);
    const ke::Locked locked{memory_lock};
    runs[used++] = run;
    pending_pages += pages;
    __atomic_store_n(&generation, generation + 1, __ATOMIC_RELEASE);
    if (used == most_runs || pending_pages > most_pages) {
        free_all();
    }
}

void flush_retired() {
    const std::uint32_t self = ke::current_processor_number();
    if (flushed[self] != __atomic_load_n(&generation, __ATOMIC_ACQUIRE)) {
        const ke::Locked locked{memory_lock};
        flush_retired_here(nullptr);
    }
}

}  // namespace hvp::lab::mm
