#include "textflag.h"

// Registers of both: SI blocks, R12 bytes of a block, R8 columns, R9 values, R10 row's columns, R11 sums, R13 4·k.

// func rowMargin(blocks *float32, k int, columns *int32, values *float64, n int, sums *float32) float32
TEXT ·rowMargin(SB), NOSPLIT, $0-52
	MOVQ blocks+0(FP), SI
	MOVQ k+8(FP), R13
	MOVQ columns+16(FP), R8
	MOVQ values+24(FP), R9
	MOVQ n+32(FP), R10
	MOVQ sums+40(FP), R11
	SHLQ $2, R13
	LEAQ 16(R13)(R13*1), R12
	XORPS X7, X7 // Σ (v·x)², by f modulo 4
	XORPS X6, X6 // Σ S², so
	XORPS X5, X5 // Σ w·x
	XORQ DX, DX  // 4·f

factors:
	XORPS X2, X2 // four sums
	XORQ CX, CX  // i

columns:
	MOVLQSX (R8)(CX*4), AX
	IMULQ R12, AX
	ADDQ DX, AX
	CVTSD2SS (R9)(CX*8), X0
	SHUFPS $0, X0, X0
	MOVUPS (SI)(AX*1), X1
	MULPS X0, X1
	ADDPS X1, X2
	MULPS X1, X1
	ADDPS X1, X7
	INCQ CX
	CMPQ CX, R10
	JLT columns
	MOVUPS X2, (R11)(DX*1)
	MULPS X2, X2
	ADDPS X2, X6
	ADDQ $16, DX
	CMPQ DX, R13
	JLT factors

	LEAQ (SI)(R13*2), SI // weights
	XORQ CX, CX

weights:
	MOVLQSX (R8)(CX*4), AX
	IMULQ R12, AX
	CVTSD2SS (R9)(CX*8), X0
	MULSS (SI)(AX*1), X0
	ADDSS X0, X5
	INCQ CX
	CMPQ CX, R10
	JLT weights

	SUBPS X7, X6
	MOVAPS X6, X0
	SHUFPS $0x4E, X0, X0
	ADDPS X0, X6
	MOVAPS X6, X0
	SHUFPS $0xB1, X0, X0
	ADDSS X0, X6
	MOVL $0x3F000000, AX // 0.5
	MOVQ AX, X0
	MULSS X0, X6
	ADDSS X5, X6
	MOVSS X6, ret+48(FP)
	RET

// func rowStep(blocks *float32, k int, columns *int32, values *float64, n int, sums *float32, residual, rate float32)
TEXT ·rowStep(SB), NOSPLIT, $0-56
	MOVQ blocks+0(FP), SI
	MOVQ k+8(FP), R13
	MOVQ columns+16(FP), R8
	MOVQ values+24(FP), R9
	MOVQ n+32(FP), R10
	MOVQ sums+40(FP), R11
	MOVSS residual+48(FP), X8
	MOVSS rate+52(FP), X9
	SHUFPS $0, X8, X8
	SHUFPS $0, X9, X9
	SHLQ $2, R13
	LEAQ 16(R13)(R13*1), R12
	XORQ CX, CX

column:
	MOVLQSX (R8)(CX*4), AX
	IMULQ R12, AX
	LEAQ (SI)(AX*1), DI    // factor
	LEAQ (DI)(R13*1), BX   // its squares
	CVTSD2SS (R9)(CX*8), X0
	SHUFPS $0, X0, X0      // x
	MOVAPS X8, X1
	MULPS X0, X1           // residual·x
	XORQ DX, DX

step:
	MOVUPS (DI)(DX*1), X2  // v
	MOVUPS (R11)(DX*1), X3 // S
	MOVUPS (BX)(DX*1), X4  // n
	MOVAPS X2, X5
	MULPS X0, X5
	SUBPS X5, X3
	MULPS X1, X3           // g
	MOVAPS X3, X5
	MULPS X5, X5
	ADDPS X5, X4           // n + g²
	MOVUPS X4, (BX)(DX*1)
	SQRTPS X4, X4
	MULPS X9, X3
	DIVPS X4, X3
	SUBPS X3, X2
	MOVUPS X2, (DI)(DX*1)
	ADDQ $16, DX
	CMPQ DX, R13
	JLT step

	MOVSS (BX)(DX*1), X2   // w
	MOVSS 4(BX)(DX*1), X4
	MOVAPS X1, X5
	MULSS X5, X5
	ADDSS X5, X4
	MOVSS X4, 4(BX)(DX*1)
	SQRTSS X4, X4
	MULSS X9, X1
	DIVSS X4, X1
	SUBSS X1, X2
	MOVSS X2, (BX)(DX*1)
	INCQ CX
	CMPQ CX, R10
	JLT column
	RET
