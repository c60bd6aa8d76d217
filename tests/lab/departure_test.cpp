// A guest that is left at any moment goes on without its VMM.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

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

// The report says why, and all that the guest had to do with is as it was.
TEST(Departure, OfTheStageEptIdentityIsReported) {
    Playground playground;
    const Answer answer = playground(
        {"run", "--driver", playground.driver("ept-identity-left", "ept-identity-left")});
    EXPECT_EQ(answer.status, 1) << answer.errors;
    EXPECT_THAT(answer.errors, HasSubstr("after VMLAUNCH: the guest: no handler for this exit"));
    EXPECT_THAT(answer.output, HasSubstr("VMX-preemption timer expired"));
    EXPECT_THAT(answer.output, HasSubstr("the guest goes on at wait_for_the_clock+0x"));
    EXPECT_THAT(answer.output, Not(HasSubstr("split a page of")));
    EXPECT_THAT(answer.output, HasSubstr("control state as before; 0 bytes leaked"));
}

}  // namespace
}  // namespace hvp::tests
