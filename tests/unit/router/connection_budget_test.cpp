#include "router/core/connection_budget.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace svc::router {
namespace {

TEST(ConnectionBudget, HalfOfWhatTheLimitLeaves_NeverMoreThanConfigured) {
  struct Case {
    std::uint64_t configured, open_files, clients;
  };
  const Case cases[] = {{65'536, 1'048'576, 65'536},
                        {65'536, 20'000, 9'872},
                        {65'536, 1024, 384},
                        {65'536, 100, 37},
                        {10, 1024, 10},
                        {1, 1, 1},
                        {65'536, 0, 1},
                        {65'536, std::numeric_limits<std::uint64_t>::max(), 65'536}};
  for (const auto& [configured, open_files, clients] : cases) {
    EXPECT_EQ(client_connections(configured, open_files), clients) << open_files;
  }
}

}  // namespace
}  // namespace svc::router
