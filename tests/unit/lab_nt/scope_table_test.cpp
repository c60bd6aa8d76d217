// Scope tables, line by line.  [Windows: x64 exception handling, "Language Specific Handler"]
#include "lab/nt/rtl/scope_table.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace hvp::lab::rtl {
namespace {

constexpr std::uint32_t place = 0x400;

/// An image of one page with a scope table in it.
class ScopeTables : public testing::Test {
protected:
    ScopeTables() : memory_(0x1000) {}

    ScopeTable table(const std::vector<Scope>& scopes, std::uint32_t count) {
        EXPECT_TRUE(pe::write(pe::WritableBytes{memory_}, place, count));
        for (std::size_t i = 0; i < scopes.size(); ++i) {
            EXPECT_TRUE(
                pe::write(pe::WritableBytes{memory_}, place + 4 + i * sizeof(Scope), scopes[i]));
        }
        return {memory_, place};
    }
    ScopeTable table(const std::vector<Scope>& scopes) {
        return table(scopes, static_cast<std::uint32_t>(scopes.size()));
    }

    std::vector<std::byte> memory_;
};

// __try { __try { … } __finally { 500 } } __except (600) { 180 }
const std::vector<Scope> nested{{0x110, 0x120, 0x500, 0}, {0x110, 0x140, 0x600, 0x180}};

TEST_F(ScopeTables, FiltersAreFoundFromTheInnermostBlockThatHoldsTheAddress) {
    const auto scopes = table({{0x110, 0x120, 0x500, 0x170}, {0x110, 0x140, 0x600, 0x180}});
    const auto inner = scopes.filter(0, 0x118);
    ASSERT_TRUE(inner);
    EXPECT_EQ(inner->scope.handler, 0x500U);
    const auto outer = scopes.filter(inner->next, 0x118);
    ASSERT_TRUE(outer);
    EXPECT_EQ(outer->scope.handler, 0x600U);
    EXPECT_FALSE(scopes.filter(outer->next, 0x118));
    EXPECT_EQ(scopes.filter(0, 0x120)->scope.handler, 0x600U) << "the end is outside";
    EXPECT_FALSE(scopes.filter(0, 0x10F));
    EXPECT_FALSE(scopes.filter(0, 0x140));
}

TEST_F(ScopeTables, AFinallyBlockIsNoFilterAndAnExceptBlockNoTermination) {
    const auto scopes = table(nested);
    EXPECT_EQ(scopes.filter(0, 0x118)->scope.handler, 0x600U);
    const auto left = scopes.termination(0, 0x118, std::nullopt);
    ASSERT_TRUE(left);
    EXPECT_EQ(left->scope.handler, 0x500U);
    EXPECT_FALSE(scopes.termination(left->next, 0x118, std::nullopt));
}

TEST_F(ScopeTables, BlocksAroundTheTargetAreNotLeft) {
    // __try { __try { __try { … } __finally { 500 } } __except (600) { 130 } } __finally { 700 }
    const auto scopes =
        table({{0x110, 0x120, 0x500, 0}, {0x110, 0x122, 0x600, 0x130}, {0x110, 0x140, 0x700, 0}});
    const auto inner = scopes.termination(0, 0x118, 0x130);
    ASSERT_TRUE(inner);
    EXPECT_EQ(inner->scope.handler, 0x500U);
    EXPECT_FALSE(scopes.termination(inner->next, 0x118, 0x130))
        << "the __except block lies inside the outer __finally";
    EXPECT_EQ(scopes.termination(inner->next, 0x118, std::nullopt)->scope.handler, 0x700U);
}

TEST_F(ScopeTables, AJumpToTheOtherPieceOfABlockStaysInIt) {
    // A block in two parts, as the compiler splits one around a RETURN: the target is in the other.
    const auto scopes = table({{0x110, 0x120, 0x500, 0}, {0x130, 0x140, 0x500, 0}});
    EXPECT_FALSE(scopes.termination(0, 0x118, 0x138));
    EXPECT_TRUE(scopes.termination(0, 0x118, 0x150));
}

TEST_F(ScopeTables, ABlockOutsideTheImageIsIgnored) {
    EXPECT_FALSE(table({{0x110, 0x120, 0x1000, 0x170}}).filter(0, 0x118)) << "the filter";
    EXPECT_FALSE(table({{0x110, 0x120, 1, 0x1000}}).filter(0, 0x118)) << "the __except block";
    EXPECT_FALSE(table({{0x110, 0x120, 0xFFFF'FFFF, 0}}).termination(0, 0x118, std::nullopt));
    // More lines than fit into the image: the table ends at the image's end.
    const auto endless = table(nested, 0xFFFF'FFFF);
    EXPECT_EQ(endless.filter(0, 0x118)->scope.handler, 0x600U);
    EXPECT_FALSE(endless.filter(0, 0x800));
    EXPECT_FALSE(endless.filter(0xFFFF'FFFF, 0x118));
    for (const std::uint32_t address : {0xFFEU, 0xFFFU, 0x1000U, 0xFFFF'FFFFU}) {
        EXPECT_FALSE((ScopeTable{memory_, address}.filter(0, 0x118))) << address;
    }
}

TEST_F(ScopeTables, ExecuteHandlerNeedsNoFilter) {
    const auto found = table({{0x110, 0x120, Scope::always, 0x170}}).filter(0, 0x118);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->scope.handler, Scope::always);
}

}  // namespace
}  // namespace hvp::lab::rtl
