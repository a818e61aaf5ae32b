#include "tests/support/store_support.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "registry/io/store_sqlite.hpp"

namespace svc::test {

namespace fs = std::filesystem;
using registry::StoredService;
using registry::StoreOp;

StoreFolder::StoreFolder() {
  std::string pattern = (fs::temp_directory_path() / "store-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  root_ = pattern;
  fs::permissions(root_, fs::perms(0755));
}

StoreFolder::~StoreFolder() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

std::vector<std::string> StoreFolder::names() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(root_)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

OpenedStore open_store(const std::string& path) {
  OpenedStore opened;
  auto store = registry::Store::open(path, "20261123T120000Z", opened.contents);
  if (store) {
    opened.store = std::move(*store);
  } else {
    opened.error = store.error().to_string();
  }
  return opened;
}

StoredService stored_service(const std::string& name, std::uint64_t generation) {
  StoredService service;
  service.spec.name = name;
  service.spec.host = "10.0.0.7";
  service.spec.port = 8000;
  service.spec.hostname = "node-7";
  service.spec.url = "http://10.0.0.7:8000";
  service.spec.status = "running";
  service.spec.timestamp = "2026-11-23T12:00:00.000000Z";
  service.generation = generation;
  return service;
}

StoreOp put(StoredService service) { return {StoreOp::Kind::put, std::move(service)}; }
StoreOp put(const std::string& name, std::uint64_t generation) { return put(stored_service(name, generation)); }

StoreOp removal(const std::string& name) {
  StoreOp operation;
  operation.kind = StoreOp::Kind::remove;
  operation.service.spec.name = name;
  return operation;
}

std::string commit_one(registry::Store& store, const StoreOp& operation) {
  const auto outcome = store.commit({&operation, 1});
  return outcome ? std::string() : outcome.error().to_string();
}

std::vector<std::string> names_of(const registry::StoreContents& contents) {
  std::vector<std::string> names;
  for (const auto& service : contents.services) names.push_back(service.spec.name);
  return names;
}

void fill_store(const std::string& path, int count, std::size_t bytes) {
  OpenedStore opened = open_store(path);
  if (!opened.store) throw std::runtime_error(opened.error);
  std::vector<StoreOp> operations;
  for (int i = 0; i < count; ++i) {
    StoredService service = stored_service("service-" + std::to_string(i), static_cast<std::uint64_t>(i) + 1);
    service.spec.metadata_json = R"({"note":")" + std::string(bytes, 'x') + R"("})";
    operations.push_back(put(std::move(service)));
  }
  if (const auto outcome = opened.store->commit(operations); !outcome) {
    throw std::runtime_error(outcome.error().to_string());
  }
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void overwrite_bytes(const std::string& path, std::uint64_t offset, std::string_view bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file << bytes;
}

std::string run_sql(const std::string& path, const std::string& sql) {
  const auto db = registry::sqlite::connect(path, true);
  std::string first;
  const auto keep = [](void* out, int columns, char** values, char**) {
    auto& text = *static_cast<std::string*>(out);
    if (text.empty() && columns > 0 && values[0] != nullptr) text = values[0];
    return 0;
  };
  if (sqlite3_exec(db.get(), sql.c_str(), keep, &first, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sqlite3_errmsg(db.get()));
  }
  return first;
}

namespace {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string in_child(const std::function<std::string()>& work, bool as_nobody) {
  Child child([&](int fd) {
    if (as_nobody && ::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return;
    write_all(fd, work());
  });
  std::string text;
  for (std::string part = child.read_some(); !part.empty(); part = child.read_some()) text += part;
  return text;
}

Child::Child(const std::function<void(int fd)>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    ::close(ends[0]);
    work(ends[1]);
    ::_exit(0);
  }
  ::close(ends[1]);
  fd_ = ends[0];
}

Child::~Child() {
  kill();
  ::close(fd_);
}

std::string Child::read_some() {
  char buffer[4096];
  const ssize_t got = ::read(fd_, buffer, sizeof buffer);
  return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : std::string();
}

std::string Child::kill() {
  std::string rest;
  if (pid_ < 0) return rest;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
  for (std::string part = read_some(); !part.empty(); part = read_some()) rest += part;
  return rest;
}

}  // namespace svc::test
