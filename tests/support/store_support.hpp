// What the store's tests share: a temporary folder, services to store, SQL behind the store's back, child processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "registry/io/store.hpp"

namespace svc::test {

/// Made at construction, removed with everything in it at the end.
class StoreFolder {
 public:
  StoreFolder();
  ~StoreFolder();
  StoreFolder(const StoreFolder&) = delete;
  StoreFolder& operator=(const StoreFolder&) = delete;

  std::string path(std::string_view name = "registry.db") const { return (root_ / name).string(); }
  /// Names in the folder, sorted.
  std::vector<std::string> names() const;

 private:
  std::filesystem::path root_;
};

struct OpenedStore {
  std::unique_ptr<registry::Store> store;  ///< null when it could not be opened
  registry::StoreContents contents;
  std::string error;  ///< Error::to_string(), "" when open
};
OpenedStore open_store(const std::string& path);

registry::StoredService stored_service(const std::string& name, std::uint64_t generation = 1);
registry::StoreOp put(registry::StoredService service);
registry::StoreOp put(const std::string& name, std::uint64_t generation = 1);
registry::StoreOp removal(const std::string& name);

/// Commits one operation; the error's text, "" when stored.
std::string commit_one(registry::Store& store, const registry::StoreOp& operation);
std::vector<std::string> names_of(const registry::StoreContents& contents);
/// A closed store with `count` services service-0, service-1... of about `bytes` each.
void fill_store(const std::string& path, int count, std::size_t bytes = 200);

std::string read_bytes(const std::string& path);
void write_bytes(const std::string& path, std::string_view bytes);
void overwrite_bytes(const std::string& path, std::uint64_t offset, std::string_view bytes);

/// With a connection of its own; the first column of the first row.
std::string run_sql(const std::string& path, const std::string& sql);

/// Runs `work` in a forked child and returns what it returned. `as_nobody`: without root's rights.
std::string in_child(const std::function<std::string()>& work, bool as_nobody = false);

/// A forked child that runs `work` with a descriptor it may write to, until killed.
class Child {
 public:
  explicit Child(const std::function<void(int fd)>& work);
  ~Child();  ///< kill()
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Blocks for at least one byte; "" at the end.
  std::string read_some();
  /// SIGKILL, waits, and returns what had been written and not yet read.
  std::string kill();

 private:
  int pid_ = -1;
  int fd_ = -1;
};

}  // namespace svc::test
