#include "common/io/read_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/temp_folder.hpp"

namespace svc {
namespace {

std::string reason(const Result<std::string>& read) { return read ? "none" : read.error().to_string(); }

TEST(ReadFile, WholeFiles_UpToTheLimit) {
  const test::TempFolder folder;
  for (const std::size_t size : {0U, 1U, 65'535U, 65'536U, 65'537U, 300'000U}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
    const std::string path = folder.write("file", text);
    const auto read = read_file(path, size);
    ASSERT_TRUE(read.has_value()) << size;
    EXPECT_EQ(*read, text);
    EXPECT_TRUE(read_file(path, size + 1).has_value());
    EXPECT_TRUE(size == 0 || read_file(path, size - 1).error().code == Errc::too_large);
    EXPECT_EQ(why_unreadable(path), "");
  }
}

TEST(ReadFile, WhatIsNoReadableFile_SaysWhy) {
  const test::TempFolder folder;
  folder.write("file", "12345");
  EXPECT_EQ(reason(read_file(folder.path("."), 100)), "Is a directory");
  EXPECT_EQ(why_unreadable(folder.path(".")), "Is a directory");
  EXPECT_EQ(reason(read_file(folder.path("none"), 100)), "No such file or directory");
  EXPECT_EQ(read_file(folder.path("none"), 100).error().code, Errc::not_found);
  EXPECT_EQ(why_unreadable(folder.path("none")), "No such file or directory");
  EXPECT_EQ(reason(read_file(folder.path("file/below"), 100)), "Not a directory");
  EXPECT_EQ(reason(read_file(folder.path("file"), 4)), "it is larger than 4 bytes");
  EXPECT_EQ(reason(read_file("/dev/zero", 4U << 20U)), "it is larger than 4 MiB");
}

TEST(ReadFile, APipe_IsReadToItsEnd) {
  const test::TempFolder folder;
  const std::string path = folder.path("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&path] { std::ofstream(path) << std::string(200'000, 'x'); });
  const auto read = read_file(path, 1U << 20U);
  writer.join();
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->size(), 200'000U);
}

}  // namespace
}  // namespace svc
