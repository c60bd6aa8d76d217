// Circular doubly linked lists of LIST_ENTRY, as in NT's structures: the head is an entry too.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::rtl {

inline void make_empty(ListEntry& head) {
    head = {.next = &head, .previous = &head};
}

[[nodiscard]] inline bool is_empty(const ListEntry& head) {
    return head.next == &head;
}

/// Links an entry before another one; before the head is the list's end.
inline void insert_before(ListEntry& place, ListEntry& entry) {
    entry = {.next = &place, .previous = place.previous};
    place.previous->next = &entry;
    place.previous = &entry;
}

/// Unlinks an entry; it is a list of its own then, so that unlinking it twice is harmless.
inline void remove(ListEntry& entry) {
    entry.previous->next = entry.next;
    entry.next->previous = entry.previous;
    make_empty(entry);
}

/// The structure that has the entry at that offset (CONTAINING_RECORD).
template <typename T, std::size_t offset>
[[nodiscard]] T& holder_of(ListEntry& entry) {
    return *std::bit_cast<T*>(std::bit_cast<std::uint64_t>(&entry) - offset);
}

}  // namespace hvp::lab::rtl
