// The component tests' own main: the agent's tests start this program again, as a shim and as an engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/io/shim/shim.hpp"
#include "tests/support/toy_engine.hpp"

int main(int argc, char** argv) {
  if (svc::agent::is_shim(argc, argv)) return svc::agent::run_shim();
  svc::test::run_toy_engine(argc, argv);
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
