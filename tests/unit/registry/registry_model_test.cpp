// 10,000 random commands against RegistryState and a plain reference, compared after each one.
#include <gtest/gtest.h>

#include "tests/unit/registry/model_session.hpp"

namespace svc::registry {
namespace {

constexpr int kCommands = 10'000;

class RegistryModel : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(RegistryModel, RandomCommands_AfterEach_AgreesWithTheReference) {
  test::Session session(GetParam());
  for (int i = 0; i < kCommands; ++i) {
    session.command();
    if (!HasFatalFailure()) session.compare();
    ASSERT_FALSE(HasFatalFailure()) << "seed " << GetParam() << ", command " << i;
  }
  EXPECT_EQ(session.raised().size(), 8U);
  for (const auto& [kind, count] : session.raised()) EXPECT_GE(count, 20) << to_string(kind);
}

INSTANTIATE_TEST_SUITE_P(FixedSeeds, RegistryModel, ::testing::Values(1, 2, 3, 20261123, 0xC0FFEE, 0xDEADBEEF));

}  // namespace
}  // namespace svc::registry
