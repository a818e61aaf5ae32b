// spawn_rank(): what a rank's process is born with, and what it says when there is none.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>

#include "agent/io/shim/spawn.hpp"
#include "common/io/unique_fd.hpp"
#include "tests/support/run_fixture.hpp"

namespace svc::agent {
namespace {

using test::TempFolder;
using test::toy_command;
using testing::HasSubstr;
using testing::Not;

struct Ran {
  int status = -1;
  std::string output;
  std::string errors;
};

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 4096> piece{};
  pollfd readable{fd, POLLIN, 0};
  while (::poll(&readable, 1, 10'000) > 0) {
    const ssize_t size = ::read(fd, piece.data(), piece.size());
    if (size <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  ::close(fd);
  return text;
}

Ran run(const RankCommand& command) {
  Ran ran;
  SpawnedRank rank;
  SpawnFailure failure;
  if (!spawn_rank(command, "", rank, failure)) {
    ADD_FAILURE() << failure.message;
    return ran;
  }
  ran.output = read_to_end(rank.output);
  ran.errors = read_to_end(rank.errors);
  EXPECT_EQ(::waitpid(rank.pid, &ran.status, 0), rank.pid);
  return ran;
}

Ran run_toy(std::vector<std::string> steps) { return run(RankCommand{toy_command(std::move(steps)), {}, ""}); }

SpawnFailure failure_of(const RankCommand& command) {
  const std::size_t descriptors = test::open_descriptors();
  SpawnedRank rank;
  SpawnFailure failure;
  EXPECT_FALSE(spawn_rank(command, "", rank, failure));
  EXPECT_EQ(test::open_descriptors(), descriptors);
  // The child that found out is reaped.
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  return failure;
}

TEST(Spawn, ExitCodes_Arrive) {
  for (const int code : {0, 1, 3, 255}) {
    const Ran ran = run_toy({"exit:" + std::to_string(code)});
    ASSERT_TRUE(WIFEXITED(ran.status));
    EXPECT_EQ(WEXITSTATUS(ran.status), code);
  }
}

TEST(Spawn, Streams_StayApart) {
  const Ran ran = run_toy({"print:one", "error:two", "print:three"});
  EXPECT_EQ(ran.output, "one\nthree\n");
  EXPECT_EQ(ran.errors, "two\n");
}

TEST(Spawn, Arguments_StayWhole) {
  const std::string odd = "print:  a \"b\" 'c' $HOME `x` \\ * \xff end  ";
  EXPECT_EQ(run_toy({odd, ""}).output, odd.substr(6) + "\n");
}

TEST(Spawn, Process_BeginsClean) {
  // None of this may be passed on: an ignored and a blocked signal, and an open descriptor.
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigset_t mask;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &mask);
  const UniqueFd stray(::open("/dev/null", O_RDONLY));
  const UniqueFd high(::fcntl(stray.get(), F_DUPFD, 60));  // the lowest ones may be in the way of others
  const std::string output = run_toy({"about"}).output;
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ::signal(SIGPIPE, before);
  EXPECT_THAT(output, HasSubstr("session 1\n"));
  EXPECT_THAT(output, HasSubstr("descriptors 0 1 2\n"));
  EXPECT_THAT(output, HasSubstr("SigBlk: 0000000000000000\n"));
  EXPECT_THAT(output, HasSubstr("SigIgn: 0000000000000000\n"));
  EXPECT_THAT(output, HasSubstr("stdin 0\n"));
}

TEST(Spawn, Environment_IsAddedToOurs) {
  ::setenv("TOY_KEPT", "a=b", 1);
  ::setenv("TOY_CHANGED", "old", 1);
  RankCommand command{toy_command({"about"}), {{"TOY_CHANGED", "new"}, {"TOY_EMPTY", ""}}, ""};
  const std::string output = run(command).output;
  ::unsetenv("TOY_KEPT");
  ::unsetenv("TOY_CHANGED");
  EXPECT_THAT(output, HasSubstr("variable TOY_KEPT=a=b\n"));
  EXPECT_THAT(output, HasSubstr("variable TOY_CHANGED=new\n"));
  EXPECT_THAT(output, HasSubstr("variable TOY_EMPTY=\n"));
  EXPECT_THAT(output, Not(HasSubstr("old")));
}

TEST(Spawn, Program_IsFoundInTheNewPathAndFromTheWorkDirectory) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path("bin"));
  std::filesystem::create_symlink(toy_command({}).front(), folder.path("bin/toy"));
  const auto steps = [](const std::string& program) {
    std::vector<std::string> argv = toy_command({"about"});
    argv.front() = program;
    return argv;
  };
  const std::string bin = folder.path("bin");
  const std::string where = "directory " + std::filesystem::canonical(folder.path("")).string();
  const std::vector<RankCommand> cases{
      {steps("toy"), {{"PATH", "/nowhere:" + bin}}, folder.path("")},
      {steps("toy"), {{"PATH", "/nowhere:bin"}}, folder.path("")},  // relative to the work directory
      {steps("bin/toy"), {}, folder.path("")},
      {steps("./bin/toy"), {{"PATH", ""}}, folder.path("")},
      {steps(bin + "/toy"), {}, folder.path("")},
  };
  for (const RankCommand& command : cases) {
    EXPECT_THAT(run(command).output + "/", HasSubstr(where.substr(0, where.size() - 1))) << command.argv.front();
  }
  EXPECT_THAT(run(RankCommand{steps("toy"), {{"PATH", "/nowhere:"}}, bin}).output, HasSubstr("directory"));
}

TEST(Spawn, WhatCannotBeStarted_IsExplained) {
  const TempFolder folder;
  const std::string plain = folder.write("plain", "#!/bin/sh\n");
  const std::string script = folder.write("script", "#!/no/such/shell\n");
  const std::string garbage = folder.write("garbage", "\x01\x02 no program");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  std::filesystem::permissions(garbage, std::filesystem::perms::owner_all);
  struct Case {
    RankCommand command;
    int error;
    std::vector<std::string> words;
  };
  const std::vector<Case> cases{
      {{{"/no/such/engine"}, {}, ""}, ENOENT, {"cannot execute '/no/such/engine'", "No such file"}},
      {{{"no-such-engine"}, {{"PATH", "/x:/y"}}, ""}, ENOENT, {"'no-such-engine'", "PATH (/x:/y)"}},
      {{{"plain"}, {{"PATH", folder.path("")}}, ""}, EACCES, {"'plain'", "Permission denied"}},
      {{{plain}, {}, ""}, EACCES, {plain, "Permission denied"}},
      {{{folder.path("")}, {}, ""}, EISDIR, {"directory"}},
      {{{script}, {}, ""}, ENOENT, {script, "interpreter is missing"}},
      {{{garbage}, {}, ""}, ENOEXEC, {garbage, "Exec format error"}},
      {{{""}, {}, ""}, ENOENT, {"''"}},
      {{toy_command({}), {}, "/no/such/dir"}, ENOENT, {"work directory '/no/such/dir'", "No such file"}},
      {{toy_command({}), {}, plain}, ENOTDIR, {"work directory '" + plain, "Not a directory"}},
  };
  for (const Case& wanted : cases) {
    const SpawnFailure failure = failure_of(wanted.command);
    EXPECT_EQ(failure.error, wanted.error) << failure.message;
    for (const std::string& words : wanted.words) EXPECT_THAT(failure.message, HasSubstr(words));
  }
}

TEST(Spawn, ManyRuns_LeakNoDescriptors) {
  run_toy({"exit:0"});
  const std::size_t before = test::open_descriptors();
  for (int i = 0; i < 20; ++i) run_toy({"exit:0"});
  EXPECT_EQ(test::open_descriptors(), before);
}

}  // namespace
}  // namespace svc::agent
