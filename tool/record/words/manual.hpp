// Intel's manual as a reader finds it: the editions that we cite, and the numbers of newer ones.
//
// A citation is held against the editions below. Since December 2022 the chapters 23 to 30 of
// volume 3C have the numbers 24 to 31; the titles stayed. A reader gets both numbers.
#pragma once

#include <string>
#include <string_view>

#include "hypervisor/vmcs/citation.hpp"

namespace hvp::tool {

/// Where Intel publishes the manual.
inline constexpr std::string_view manual_address = "https://www.intel.com/sdm";

/// Which editions are cited, in one sentence.
[[nodiscard]] std::string manual_editions();

/// Returns  the number that a section of volume 3C has since December 2022: `27.3.1.2` for
///          `26.3.1.2`; empty where it has not changed, and for other volumes
[[nodiscard]] std::string newer_section(std::string_view volume, std::string_view section);

/// `[SDM 3C 26.3.1.2 "Checks on Guest Segment Registers"; 2022: 27.3.1.2]`
[[nodiscard]] std::string citation_for_readers(const vmx::Citation& section);

/// `SDM 3C 24.2` or `SDM 3C 24.2 Format of the VMCS Region`, as drivers and sentences name a
/// section, with the newer number after it: `SDM 3C 24.2 (2022: 25.2)`. Other text as it is.
[[nodiscard]] std::string with_newer_section(std::string_view text);

}  // namespace hvp::tool
