#pragma once
// Everything.

#include "runnel/go.h"
#include "runnel/goroutine_local.h"
#include "runnel/panic.h"
#include "runnel/sync.h"
#include "runnel/time.h"
