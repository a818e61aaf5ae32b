#include "common/core/strong_id.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <type_traits>
#include <unordered_set>

namespace svc {
namespace {

using Revision = StrongId<struct RevisionTag, std::uint64_t>;
using Count = StrongId<struct CountTag, std::uint64_t>;
using Name = StrongId<struct NameTag, std::string>;

static_assert(!std::is_convertible_v<std::uint64_t, Revision>);
static_assert(!std::is_convertible_v<Revision, std::uint64_t>);
static_assert(!std::is_constructible_v<Revision, Count>);

TEST(StrongId, Default_IsZeroOrEmpty) {
  EXPECT_EQ(Revision().value(), 0U);
  EXPECT_EQ(Name().value(), "");
}

TEST(StrongId, Values_CompareAndOrder) {
  EXPECT_EQ(Revision(3), Revision(3));
  EXPECT_LT(Revision(3), Revision(4));
  EXPECT_GT(Name("b"), Name("a"));
}

TEST(StrongId, Hash_WorksInContainers) {
  const std::unordered_set<Name> names{Name("a"), Name("b"), Name("a")};
  EXPECT_EQ(names.size(), 2U);
  EXPECT_TRUE(names.contains(Name("b")));
}

}  // namespace
}  // namespace svc
