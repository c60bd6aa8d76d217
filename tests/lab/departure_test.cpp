// A guest that is left at any moment goes on without its VMM.
#include <gtest/gtest.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

TEST(Departure, At200MomentsNothingIsLost) {
    Playground playground;
    const Answer answer =
        playground({"run", "--driver", playground.driver("departure", "departure"), "--cpus", "2",
                    "--processor", "0", "--no-processor-log"});
    EXPECT_EQ(answer.status, 0) << answer.errors;
    const auto proofs = playground.events("DepartureProof");
    ASSERT_EQ(proofs.size(), 1U);
    const Json& proof = proofs[0];
    EXPECT_EQ(proof["good"], 200) << proof;
    EXPECT_EQ(proof["nmis_received"], proof["nmis_sent"]) << proof;
    EXPECT_EQ(proof["ipis_received"], proof["ipis_sent"]) << proof;
    for (const char* const moment : {"own_code", "clock", "ipi", "with_nmi", "with_interrupt"}) {
        EXPECT_GT(proof[moment], 0) << moment << " " << proof;
    }
}

}  // namespace
}  // namespace hvp::tests
