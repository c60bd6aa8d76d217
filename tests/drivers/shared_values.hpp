// Plain variables by which guests and threads on different processors speak to each other.
#pragma once

#include <type_traits>

namespace hvp::tests {

/// What was written before the `set` whose value this finds can be seen behind it.
template <typename T>
[[nodiscard, gnu::always_inline]] inline T read(const T& value) {
    return __atomic_load_n(&value, __ATOMIC_ACQUIRE);
}

template <typename T>
[[gnu::always_inline]] inline void set(T& value, std::type_identity_t<T> to) {
    __atomic_store_n(&value, to, __ATOMIC_RELEASE);
}

/// One more, where several count.
template <typename T>
[[gnu::always_inline]] inline void add(T& value) {
    __atomic_add_fetch(&value, 1, __ATOMIC_ACQ_REL);
}

}  // namespace hvp::tests
