#include <gtest/gtest.h>
#include <stdlib.h>

#include "ctl/io/program.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::ctl {
namespace {

TEST(CtlProgram, OutputErrorsAndExitCode) {
  const auto end = run_program({"/bin/sh", "-c", "echo out; echo \"$1\" >&2; exit 7", "sh", "two words"});
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->exit_code, 7);
  EXPECT_EQ(end->output, "out\n");
  EXPECT_EQ(end->errors, "two words\n");
}

TEST(CtlProgram, MuchOfBothAtOnce) {
  const auto end = run_program({"/bin/sh", "-c", "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero"});
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->output.size(), 1'000'000U);
  EXPECT_EQ(end->errors.size(), 1'000'000U);
}

TEST(CtlProgram, EndedByASignal_AndNothingToRead) {
  EXPECT_EQ(run_program({"/bin/sh", "-c", "kill -9 $$"}).value().exit_code, 128 + 9);
  EXPECT_EQ(run_program({"/bin/cat"}).value().output, "");
}

TEST(CtlProgram, MissingOrNoProgram_IsAnError) {
  const auto missing = run_program({"/no/such/program"});
  ASSERT_TRUE(missing.has_error());
  EXPECT_EQ(missing.error().to_string(), "cannot run /no/such/program: No such file or directory");
  EXPECT_TRUE(run_program({"/"}).has_error());
}

TEST(CtlProgram, SiblingFirst_ThenThePath) {
  const test::TempFolder folder;
  const std::string path = folder.write("only-in-the-path", "#!/bin/sh\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  const std::string before = ::getenv("PATH") == nullptr ? "" : ::getenv("PATH");
  ::setenv("PATH", ("relative:" + folder.path("") + ":" + before).c_str(), 1);
  EXPECT_EQ(std::filesystem::canonical(sibling_program("only-in-the-path")), std::filesystem::canonical(path));
  const auto own = std::filesystem::read_symlink("/proc/self/exe");
  EXPECT_EQ(sibling_program(own.filename()), own.string());
  EXPECT_EQ(sibling_program("nowhere-at-all"), "");
  ::setenv("PATH", before.c_str(), 1);
}

}  // namespace
}  // namespace svc::ctl
