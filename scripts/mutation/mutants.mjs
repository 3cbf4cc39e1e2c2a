// Finds what can be changed in a TypeScript source so that a test ought to notice.
import ts from 'typescript';

const { SyntaxKind: Kind } = ts;

/** Operators by what they are replaced with, one mutant each. */
const OPERATORS = new Map([
  [Kind.LessThanToken, ['<=', '>=']],
  [Kind.LessThanEqualsToken, ['<', '>']],
  [Kind.GreaterThanToken, ['>=', '<=']],
  [Kind.GreaterThanEqualsToken, ['>', '<']],
  [Kind.EqualsEqualsEqualsToken, ['!==']],
  [Kind.ExclamationEqualsEqualsToken, ['===']],
  [Kind.AmpersandAmpersandToken, ['||']],
  [Kind.BarBarToken, ['&&']],
  [Kind.QuestionQuestionToken, ['&&']],
  [Kind.PlusToken, ['-']],
  [Kind.MinusToken, ['+']],
  [Kind.AsteriskToken, ['/']],
  [Kind.SlashToken, ['*']],
  [Kind.PercentToken, ['*']],
  [Kind.PlusEqualsToken, ['-=']],
  [Kind.MinusEqualsToken, ['+=']],
  [Kind.BarBarEqualsToken, ['&&=']],
  [Kind.QuestionQuestionEqualsToken, ['&&=']],
]);

const METHODS = new Map([
  ['push', 'unshift'],
  ['unshift', 'push'],
  ['shift', 'pop'],
  ['pop', 'shift'],
  ['min', 'max'],
  ['max', 'min'],
  ['some', 'every'],
  ['every', 'some'],
]);

/**
 * Every mutant of a source: `{ start, end, replacement, kind, line, original }`. Texts are left alone, as are types, imports,
 * numbers (most of them are times and sizes that no test depends on), and what is written to the log.
 */
export function mutantsOf(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const mutants = [];
  const add = (kind, node, replacement, start = node.getStart(source), end = node.getEnd()) => {
    const line = source.getLineAndCharacterOfPosition(start).line + 1;
    mutants.push({ start, end, replacement, kind, line, original: text.slice(start, end) });
  };
  const visit = (node) => {
    if (isIgnored(node)) return;
    binary(node, add);
    conditions(node, add);
    statements(node, add);
    expressions(node, source, add);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return mutants;
}

function isIgnored(node) {
  return (
    ts.isTypeNode(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isImportDeclaration(node) ||
    ts.isExportDeclaration(node) ||
    (ts.isCallExpression(node) && /\blogger\??\.\w+$/.test(node.expression.getText())) ||
    // A condition on nothing but what is written to the log.
    (ts.isIfStatement(node) && node.elseStatement === undefined && isLog(node.thenStatement))
  );
}

/** Whether a statement does nothing but write to the log. */
function isLog(node) {
  if (ts.isBlock(node)) return node.statements.length > 0 && node.statements.every(isLog);
  if (ts.isIfStatement(node)) return node.elseStatement === undefined && isLog(node.thenStatement);
  return ts.isExpressionStatement(node) && isIgnored(node.expression);
}

function binary(node, add) {
  if (!ts.isBinaryExpression(node)) return;
  const { left, operatorToken, right } = node;
  // Text is put together with the same operator.
  const isText = (part) => ts.isStringLiteralLike(part) || ts.isTemplateExpression(part);
  if (operatorToken.kind === Kind.PlusToken && (isText(left) || isText(right))) return;
  for (const replacement of OPERATORS.get(operatorToken.kind) ?? []) add('operator', operatorToken, replacement);
}

function conditions(node, add) {
  const condition = ts.isConditionalExpression(node) ? node.condition : node.expression;
  if (ts.isIfStatement(node) || ts.isConditionalExpression(node)) {
    add('condition', condition, 'true');
    add('condition', condition, 'false');
  } else if (ts.isWhileStatement(node) && condition.kind !== Kind.TrueKeyword) add('condition', condition, 'false');
}

function statements(node, add) {
  if (ts.isBlock(node) && node.statements.length > 0 && !ts.isTryStatement(node.parent) && !isLog(node)) {
    // A block of one statement is the mutant of that statement.
    const [only] = node.statements;
    if (node.statements.length > 1 || !isRemovable(only)) add('block', node, '{}');
  }
  if (isRemovable(node)) add('statement', node, ';');
}

function isRemovable(node) {
  if (ts.isThrowStatement(node)) return true;
  if (!ts.isExpressionStatement(node)) return false;
  let { expression } = node;
  while (ts.isAwaitExpression(expression) || ts.isVoidExpression(expression)) ({ expression } = expression);
  if (ts.isCallExpression(expression))
    return expression.expression.kind !== Kind.SuperKeyword && !isIgnored(expression);
  return ts.isBinaryExpression(expression) && expression.operatorToken.kind === Kind.EqualsToken;
}

function expressions(node, source, add) {
  if (ts.isPrefixUnaryExpression(node)) {
    const { operator, operand } = node;
    if (operator === Kind.ExclamationToken) add('negation', node, operand.getText(source));
    if (operator === Kind.PlusPlusToken) add('update', node, `--${operand.getText(source)}`);
    if (operator === Kind.MinusMinusToken) add('update', node, `++${operand.getText(source)}`);
  } else if (ts.isPostfixUnaryExpression(node)) {
    const operator = node.operator === Kind.PlusPlusToken ? '--' : '++';
    add('update', node, `${node.operand.getText(source)}${operator}`);
  } else if (node.kind === Kind.TrueKeyword) add('boolean', node, 'false');
  else if (node.kind === Kind.FalseKeyword) add('boolean', node, 'true');
  else if (node.kind === Kind.QuestionDotToken && ts.isPropertyAccessExpression(node.parent))
    add('optional', node, '.');
  else if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    const { name } = node.expression;
    const other = METHODS.get(name.text);
    if (other !== undefined) add('method', name, other);
  } else if (ts.isArrowFunction(node) && !ts.isBlock(node.body) && node.body.kind !== Kind.Identifier)
    add('function', node.body, 'undefined');
  else if (ts.isArrayLiteralExpression(node) && node.elements.length > 0 && !ts.isBinaryExpression(node.parent))
    add('array', node, '[]');
}
