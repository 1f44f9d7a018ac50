#include "platform/backtrace.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <unistd.h>
#include <unwind.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace runnel::platform {
namespace {

struct capture {
  void** frames;
  int most;
  int skip;
  int count = 0;
};

_Unwind_Reason_Code store_frame(_Unwind_Context* context, void* raw) {
  auto& c = *static_cast<capture*>(raw);
  auto address = _Unwind_GetIP(context);
  if (address == 0) return _URC_END_OF_STACK;
  if (c.skip > 0) {
    --c.skip;
    return _URC_NO_REASON;
  }
  if (c.count == c.most) return _URC_END_OF_STACK;
  c.frames[c.count++] = reinterpret_cast<void*>(address);
  return _URC_NO_REASON;
}

std::string demangle(const char* name) {
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return status == 0 && text != nullptr ? text.get() : name;
}

}  // namespace

int capture_backtrace(void** frames, int most, int skip) noexcept {
  capture c{frames, most, skip + 1};
  _Unwind_Backtrace(&store_frame, &c);
  return c.count;
}

// What we use of <elfutils/libdwfl.h>; loaded, so that a program needs elfutils only for better reports.
struct symbolizer::library {
  struct callbacks {
    void* find_elf;
    void* find_debuginfo;
    void* section_address;
    char** debuginfo_path;
  };

  void* handle = nullptr;
  callbacks how{};
  void* (*begin)(const callbacks*) = nullptr;
  void (*end)(void*) = nullptr;
  int (*report)(void*, pid_t) = nullptr;
  int (*report_end)(void*, void*, void*) = nullptr;
  void* (*module_at)(void*, std::uint64_t) = nullptr;
  const char* (*name_at)(void*, std::uint64_t) = nullptr;
  void* (*source_at)(void*, std::uint64_t) = nullptr;
  const char* (*line_info)(void*, std::uint64_t*, int*, int*, std::uint64_t*,
                           std::uint64_t*) = nullptr;

  template <class F>
  bool find(F& f, const char* name) {
    f = reinterpret_cast<F>(dlsym(handle, name));
    return f != nullptr;
  }
  bool load() {
    handle = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    return handle != nullptr && find(begin, "dwfl_begin") && find(end, "dwfl_end") &&
           find(report, "dwfl_linux_proc_report") && find(report_end, "dwfl_report_end") &&
           find(module_at, "dwfl_addrmodule") && find(name_at, "dwfl_module_addrname") &&
           find(source_at, "dwfl_module_getsrc") && find(line_info, "dwfl_lineinfo") &&
           find(how.find_elf, "dwfl_linux_proc_find_elf") &&
           find(how.find_debuginfo, "dwfl_standard_find_debuginfo");
  }
};

symbolizer::symbolizer() : dw_(new library) {
  if (!dw_->load()) return;
  session_ = dw_->begin(&dw_->how);
  if (session_ == nullptr) return;
  if (dw_->report(session_, getpid()) != 0 || dw_->report_end(session_, nullptr, nullptr) != 0) {
    dw_->end(session_);
    session_ = nullptr;
  }
}

symbolizer::~symbolizer() {
  if (session_ != nullptr) dw_->end(session_);
  delete dw_;
}

code_location symbolizer::locate(void* return_address) {
  code_location where;
  auto at = reinterpret_cast<std::uint64_t>(return_address);
  // The call, not what follows it, which may belong to another line, or to another function.
  std::uint64_t call = at - 1;
  Dl_info known{};
  if (dladdr(reinterpret_cast<void*>(call), &known) != 0) {
    if (known.dli_fname != nullptr) where.file = known.dli_fname;
    where.offset = at - reinterpret_cast<std::uint64_t>(known.dli_fbase);
    if (known.dli_sname != nullptr) where.function = demangle(known.dli_sname);
  }
  void* module = session_ != nullptr ? dw_->module_at(session_, call) : nullptr;
  if (module == nullptr) return where;
  if (const char* name = dw_->name_at(module, call)) where.function = demangle(name);
  if (void* source = dw_->source_at(module, call)) {
    int line = 0;
    const char* file = dw_->line_info(source, nullptr, &line, nullptr, nullptr, nullptr);
    if (file != nullptr && line > 0) {
      where.file = file;
      where.line = line;
    }
  }
  return where;
}

}  // namespace runnel::platform
