// KeBugCheck, KeBugCheckEx.
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {

/// [Windows: KeBugCheckEx] Any IRQL; the code may be the driver's own.
NT_EXPORT void KeBugCheckEx(std::uint32_t code, std::uint64_t parameter_1,
                            std::uint64_t parameter_2, std::uint64_t parameter_3,
                            std::uint64_t parameter_4) {
    bug_check({.code = static_cast<BugCheckCode>(code),
               .parameters = {parameter_1, parameter_2, parameter_3, parameter_4},
               .detail = "the driver called KeBugCheckEx"});
}

/// [Windows: KeBugCheck]
NT_EXPORT void KeBugCheck(std::uint32_t code) {
    bug_check({.code = static_cast<BugCheckCode>(code), .detail = "the driver called KeBugCheck"});
}

}  // namespace hvp::lab::ke
